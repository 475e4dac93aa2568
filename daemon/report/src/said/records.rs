//! Records of the journal in a few words.

use journal::records::idle::IdleEntry;
use journal::{AlertEntry, BadBody, CycleBrief, EntryKind, idle, stories};
use planner::idle::snapshot::{Ask, Request};
use shadow::{self, ShadowEntry};

use super::explain::Ending;
use super::story::verb;
use super::{Said, zh};
use crate::Language;

/// A record in a few words.
pub fn brief(kind: &EntryKind, language: Language) -> String {
    match language {
        Language::English => crate::records::brief(kind),
        Language::Chinese => chinese(kind),
    }
}

fn chinese(kind: &EntryKind) -> String {
    let unreadable = |why: BadBody| format!("无法读取：{why}");
    match kind {
        EntryKind::Cycle(cycle) => {
            zh(&CycleBrief::of(cycle.snapshot.services.len(), &cycle.plan.actions))
        }
        EntryKind::Samples(batches) => {
            let samples: usize = batches.iter().map(|batch| batch.samples.len()).sum();
            format!("样本：{} 个指标的 {samples} 个", batches.len())
        }
        EntryKind::Intent(intent) => {
            format!("指令 {}：{} {}", intent.id, intent.service, zh(&intent.change))
        }
        EntryKind::Outcome(outcome) => {
            format!("{} 的结果：{}", outcome.id, zh(&Ending(&outcome.result)))
        }
        EntryKind::Checkpoint { memory, open } => {
            format!("检查点：{} 个服务的记忆，{} 个未了指令", memory.services.len(), open.len())
        }
        EntryKind::Policy(digest, policy) => {
            format!("策略 {digest}：{} 个服务", policy.policy.services.len())
        }
        // It is what people were sent.
        EntryKind::Alert(AlertEntry::Raised(alert)) => format!("告警：{}", alert.title),
        EntryKind::Alert(AlertEntry::Digest(alert, digest)) => {
            format!("给 `{}` 的摘要：{}", digest.channel, alert.title)
        }
        EntryKind::Alert(AlertEntry::Notice(notice)) => format!("告警：{}", notice.title_zh),
        EntryKind::Alert(AlertEntry::Conditions(open)) => {
            format!("异常状况：{} 项未了，{} 项已通知", open.threads.len(), open.told().count())
        }
        EntryKind::Alert(AlertEntry::Sent { alert, channel, .. }) => {
            format!("告警 {alert}：已由 `{channel}` 发送")
        }
        EntryKind::Alert(AlertEntry::GaveUp { alert, channel, why, .. }) => {
            format!("告警 {alert}：`{channel}` 放弃发送，{why}")
        }
        EntryKind::Usage(days) => format!("使用情况：资源指标 {} 天", days.len()),
        EntryKind::Idle(body) => idle::read(body).map_or_else(unreadable, |entry| zh(&entry)),
        EntryKind::Shadow(body) => shadow::read(body).map_or_else(unreadable, |entry| zh(&entry)),
        EntryKind::Stories(body) => stories::read(body)
            .map_or_else(unreadable, |stories| format!("{} 个服务的说明", stories.count())),
    }
}

impl Said for CycleBrief {
    fn chinese(&self) -> String {
        let mut text = format!("周期：{} 个服务", self.services);
        for (service, change, dry_run) in &self.actions {
            let dry = if *dry_run { "（试运行）" } else { "" };
            text.push_str(&format!("；{service} {}{dry}", zh(change)));
        }
        text
    }
}

impl Said for IdleEntry {
    fn chinese(&self) -> String {
        match self {
            IdleEntry::Checkpoint(all) => format!("闲置：{} 个资源的检查点", all.seen.len()),
            IdleEntry::Look(look) => {
                let (orders, alerts) = (look.plan.actions.len(), look.plan.alerts.len());
                let changed = look.changed.len();
                let mut text =
                    format!("闲置：一次观察，{changed} 项变化，{orders} 条指令，{alerts} 条告警");
                for request in &look.snapshot.requests {
                    text.push_str(&format!("；{}", asks(request)));
                }
                text
            }
            IdleEntry::Verdicts(verdicts) => format!("闲置：{} 个结论", verdicts.len()),
            IdleEntry::Intents(intents) => {
                let orders =
                    intents.iter().map(|i| format!("{} {}", zh(&i.action.verb), i.action.resource));
                format!("闲置：即将{}", orders.collect::<Vec<_>>().join("、"))
            }
            IdleEntry::Outcomes(outcomes) => {
                let ends = outcomes
                    .iter()
                    .map(|o| format!("{} {}：{}", verb(o), o.resource, zh(&o.result)));
                format!("闲置：{}", ends.collect::<Vec<_>>().join("；"))
            }
        }
    }
}

/// Who asks for what.
fn asks(Request { by, at: _, ask }: &Request) -> String {
    match ask {
        Ask::Approve { id } => format!("{by} 批准 {id}"),
        Ask::Reject { id } => format!("{by} 拒绝 {id}"),
        Ask::Wake { resource, .. } => format!("{by} 要求开机 {resource}"),
        Ask::Exempt { resource, .. } => format!("{by} 豁免 {resource}"),
        Ask::Release { rule } => format!("{by} 放行 {rule}"),
    }
}

impl Said for ShadowEntry {
    fn chinese(&self) -> String {
        match self {
            ShadowEntry::Scores(saved)
            | ShadowEntry::Scored(saved, _)
            | ShadowEntry::Counted(saved, _) => {
                let services = saved.scores.services.len();
                format!("影子：{services} 个服务截至 {} 的成绩单", saved.until)
            }
            ShadowEntry::Asked(request) => zh(request),
            ShadowEntry::Clock(jump) => {
                let (by, shows, expected) = (jump.by(), jump.shows, jump.expected);
                let way = if jump.is_back() { "回拨" } else { "拨快" };
                format!("时钟被{way} {by}：显示 {shows}，应为 {expected}")
            }
            ShadowEntry::Prices(prices) => format!("{} 个服务的单元价格", prices.len()),
            ShadowEntry::Minimums(kept) => {
                format!("neap 改写之前 {} 个伸缩组的最小值", kept.len())
            }
            ShadowEntry::Rules(saved) => {
                let rules = saved.scores.newest().count();
                format!("影子：{rules} 条闲置规则截至 {} 的成绩单", saved.until)
            }
        }
    }
}
