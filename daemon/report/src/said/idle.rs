//! Idle resources: verdicts and their numbers, where they stand, and what holds them.

use fleet::money::Sum;
use fleet::resource::Power;
use fleet::stop::StopMode;
use fleet::usage::Signal;
use planner::idle::evidence::{Lack, Row as Numbers, Use, Verdict, VerdictKind};
use planner::idle::plan::{Because, IdleHold, Risk, Stage, Verb};
use shadow::RuleCard;

use super::{Said, zh};
use crate::Language;
use crate::idle::rows::Row;

/// The numbers of a row in one line.
pub fn evidence(row: &Row, language: Language) -> String {
    let brief = |numbers: &Numbers| {
        let signal = numbers.signal;
        let most = signal.amount(numbers.most_milli);
        match numbers.limit_milli {
            Some(limit) => format!("{signal} {most}（上限 {}）", signal.amount(limit)),
            None => format!("{signal} {most}"),
        }
    };
    match language {
        Language::English => row.evidence(),
        Language::Chinese => row.evidence_by(&brief, &zh).join("，"),
    }
}

/// A sum a month.
pub fn sum(sum: &Sum, language: Language) -> String {
    match language {
        Language::English => crate::idle::sum(sum),
        Language::Chinese => {
            let mut parts = crate::idle::amounts(sum);
            if sum.unknown > 0 {
                parts.push(format!("{} 个价格未知", sum.unknown));
            }
            if parts.is_empty() { "0".to_owned() } else { parts.join(" + ") }
        }
    }
}

/// What a rule has saved, or would have.
pub fn saved(card: &RuleCard, language: Language) -> String {
    match language {
        Language::English => card.saved(),
        Language::Chinese => card.saved_by("，", &|hours| format!("{hours} 小时价格未知")),
    }
}

impl Said for Verdict {
    fn chinese(&self) -> String {
        match self {
            Verdict::AlwaysIdle => "一直闲置".to_owned(),
            Verdict::IdleByTheClock(pattern) => {
                format!("按钟点闲置：{} 周内只在 {pattern} 使用", pattern.weeks)
            }
            Verdict::InUse { by } => format!("在用：{}", zh(by)),
            Verdict::NotEnoughData(lack) => format!("数据不足：{}", zh(lack)),
        }
    }
}

/// A row's verdict in a word.
pub fn verdict(row: &Row, language: Language) -> Option<&'static str> {
    let kind = row.numbers.as_ref()?.verdict.kind();
    Some(match (language, kind) {
        (Language::English, kind) => kind.word(),
        (Language::Chinese, VerdictKind::AlwaysIdle) => "一直闲置",
        (Language::Chinese, VerdictKind::IdleByTheClock) => "按钟点闲置",
        (Language::Chinese, VerdictKind::InUse) => "在用",
        (Language::Chinese, VerdictKind::NotEnoughData) => "数据不足",
    })
}

impl Said for Numbers {
    fn chinese(&self) -> String {
        let Numbers { signal, limit_milli, high_milli, most_milli, most_at, hours, of, above } =
            self;
        let (most, share) = if signal.is_least() { ("最小", "1 %") } else { ("最大", "99 %") };
        let limit =
            limit_milli.map(|limit| format!("，上限 {}，超限 {above} 小时", signal.amount(limit)));
        format!(
            "{signal}：{most} {}（{most_at}），{share} 的小时 {}{}；{hours}/{of} 小时有数据",
            signal.amount(*most_milli),
            signal.amount(*high_milli),
            limit.unwrap_or_default()
        )
    }
}

impl Said for Use {
    fn chinese(&self) -> String {
        match self {
            Use::Above { signal, value_milli, limit_milli, at, hours } => format!(
                "{signal} 在 {at} 为 {}，上限 {}，超限 {hours} 小时",
                signal.amount(*value_milli),
                signal.amount(*limit_milli)
            ),
            Use::Starved { credits_milli, at } => format!(
                "CPU 积分曾耗尽（{at} 剩 {}）：若有余量会做得更多",
                Signal::CreditsLeft.amount(*credits_milli)
            ),
            Use::Holder(holder) => format!("被 {} 使用", zh(holder)),
        }
    }
}

impl Said for Lack {
    fn chinese(&self) -> String {
        match self {
            Lack::TooYoung { since: Some(since), look_back } => {
                format!("自 {since} 起才有记录，规则回看 {look_back}")
            }
            Lack::TooYoung { since: None, look_back } => {
                format!("存在了多久未知，规则回看 {look_back}")
            }
            Lack::Unmeasured { signal } => format!("{signal} 从未测得"),
            Lack::Gaps { signal, hours, of } => format!("{signal} 只有 {hours}/{of} 小时"),
            Lack::Stale { signal, newest: Some(newest) } => {
                format!("{signal} 自 {newest} 起没有数据")
            }
            Lack::Stale { signal, newest: None } => format!("{signal} 没有新数据"),
            Lack::Unread(what) => format!("无法读取{}", zh(what)),
        }
    }
}

impl Said for Risk {
    fn chinese(&self) -> String {
        let why: Vec<String> = self.why.iter().map(zh).collect();
        let why = if why.is_empty() { String::new() } else { format!("：{}", why.join("；")) };
        format!("开机失败的可能性为 {:.1} %{why}", f64::from(self.milli) / 10.0)
    }
}

impl Said for Verb {
    fn chinese(&self) -> String {
        let verb = match self {
            Verb::Stop(StopMode::Plain) => "停机",
            Verb::Stop(StopMode::Hibernate) => "休眠",
            Verb::Start => "开机",
        };
        verb.to_owned()
    }
}

impl Said for Because {
    fn chinese(&self) -> String {
        match self {
            Because::Idle { rule } => format!("按规则 `{rule}` 闲置"),
            Because::Schedule { rule, switch } => {
                format!("排程 `{rule}`：自 {} 起应{}", switch.at, up_or_down(switch.up))
            }
            Because::Wake { by, until } => format!("{by} 要求开机至 {until}"),
        }
    }
}

fn up_or_down(up: bool) -> &'static str {
    if up { "开机" } else { "停机" }
}

impl Said for Power {
    fn chinese(&self) -> String {
        let power = match self {
            Power::Running => "运行中",
            Power::Starting => "正在开机",
            Power::Stopping => "正在停机",
            Power::Stopped { .. } => "已停机",
            Power::Gone => "已不存在",
            Power::Other(name) => name,
        };
        power.to_owned()
    }
}

impl Said for Stage {
    fn chinese(&self) -> String {
        match self {
            Stage::Kept => "保留".to_owned(),
            Stage::Candidate => "候选".to_owned(),
            Stage::Marked { grace_left, .. } if grace_left.0 == 0 => "已标记，已到期".to_owned(),
            Stage::Marked { grace_left, .. } => format!("已标记，宽限期剩 {grace_left}"),
            Stage::Acting(verb) => format!("正在{}", zh(verb)),
            Stage::Stopped { at } => format!("自 {at} 起已停机"),
            Stage::OnSchedule { up, next } => {
                let now = format!("按排程{}", up_or_down(*up));
                match next {
                    Some(next) => format!("{now}，{} {}", next.at, up_or_down(next.up)),
                    None => now,
                }
            }
        }
    }
}

impl Said for IdleHold {
    fn chinese(&self) -> String {
        match self {
            IdleHold::InUse(by) => format!("在用：{}", zh(by)),
            IdleHold::IdleByTheClock(pattern) => format!(
                "按钟点闲置：{} 周内只在 {pattern} 使用；排程 `up = \"{pattern}\"` 每周可省 {} 小时",
                pattern.weeks,
                pattern.idle_hours()
            ),
            IdleHold::NotEnoughData(lack) => format!("数据不足：{}", zh(lack)),
            IdleHold::NotRunning(power) | IdleHold::Changing(power) => {
                format!("状态为{}", zh(power))
            }
            IdleHold::FindingOnly => "此类资源 neap 不会停止，需由您处理".to_owned(),
            IdleHold::NotOptedIn { tag } => format!("负责人没有打标签 `{tag}`"),
            IdleHold::ProtectTag { tag } => format!("受标签 `{tag}` 保护"),
            IdleHold::InScalingGroup(group) => format!("伸缩组 `{group}` 的成员"),
            IdleHold::Orchestrated { by, tag } => format!("归 {by} 管理（标签 `{tag}`）"),
            IdleHold::InTargetGroup(target) => format!("注册在 `{target}` 中"),
            IdleHold::LocalDisk => "停机会销毁本地盘上的数据".to_owned(),
            IdleHold::Accelerator => "带有加速器，停机后可能再也拿不到".to_owned(),
            IdleHold::ForwardsTraffic => "它转发其他机器的流量".to_owned(),
            IdleHold::SpotTerminates => "抢占式实例，停机即永久释放".to_owned(),
            IdleHold::Protected(what) => format!("已开启{}", zh(what)),
            IdleHold::PassiveRole(what) => {
                format!("本来就应闲置（{}）：备机、副本或入口", zh(what))
            }
            IdleHold::Alarm(name) => format!("它的告警 `{name}` 处于 ALARM 状态"),
            IdleHold::OwnHost => "neap 自己运行在上面".to_owned(),
            IdleHold::Unread(what) => format!("有信息无法读取：{}", zh(what)),
            IdleHold::SavesNothing(why) => format!("停机不省钱：{}", zh(why)),
            IdleHold::CannotHibernate => "无法休眠".to_owned(),
            IdleHold::RestartRisk(risk) => format!("可能开不回来：{}", zh(risk)),
            IdleHold::Exempt { why, until } => format!("豁免至 {until}：{}", zh(why)),
            other => held_back(other),
        }
    }
}

/// What holds back what is idle.
fn held_back(hold: &IdleHold) -> String {
    match hold {
        IdleHold::ObserveMode => "模式为 `observe`".to_owned(),
        IdleHold::RuleObserves => "规则的模式为 `observe`".to_owned(),
        IdleHold::FirstDays { left } => format!("规则起初只观察，还剩 {left}"),
        IdleHold::InGrace { left } => format!("已标记，宽限期剩 {left}"),
        IdleHold::NeedsApproval { id, why } => {
            format!("等待 `neap approve {id}`：{}", zh(why))
        }
        IdleHold::KillSwitch(why) => format!("紧急开关已打开：{}", zh(why)),
        IdleHold::Frozen { name, until } => format!("冻结期 `{name}`，至 {until}"),
        IdleHold::DiskFull => "日志所在磁盘已满".to_owned(),
        IdleHold::NotSteady { since, until } => {
            format!("时钟跳变过，或 neap 曾中断观察：自 {since} 起观察恢复正常，{until} 起继续停机")
        }
        IdleHold::Surge { matched, before } => format!(
            "规则现在认定 {matched} 个资源闲置，前一天为 {before} 个：查看之后执行 `neap release RULE`"
        ),
        IdleHold::AboveDayCap { due, cap, scope } => format!(
            "{}有 {due} 次停机到期，每天上限 {cap} 次：查看之后执行 `neap release RULE`",
            zh(scope)
        ),
        IdleHold::BlastRadius { scope, done, cap, until } => {
            format!("{}已用去 {cap} 次停机中的 {done} 次，下次在 {until}", zh(scope))
        }
        IdleHold::ScheduledUp { schedule } => format!("排程 `{schedule}` 要求开机"),
        IdleHold::Woken { by, until } => format!("{by} 要求开机至 {until}"),
        IdleHold::ByHand { up, until } => {
            format!("有人手动{}，保持至 {until}", up_or_down(*up))
        }
        IdleHold::OrderOpen { since } => format!("{since} 的指令尚无结果，先查明结果"),
        IdleHold::RetryLater { at, why } => format!("{at} 再试：{}", zh(why)),
        IdleHold::WaitsFor { resource } => format!("等待 `{resource}`"),
        IdleHold::ScheduleUnread(why) => format!("无法解读它的排程：{}", zh(why)),
        IdleHold::OptedOut => "它已退出排程".to_owned(),
        IdleHold::OneSided => "排程只管另一个方向".to_owned(),
        IdleHold::AsScheduled => "与排程一致".to_owned(),
        IdleHold::NotIdleNow(what) => format!("排程只停闲置的机器：{}", zh(what)),
        IdleHold::Gone => "已不存在".to_owned(),
        IdleHold::AlreadyStopped { at } => format!("neap 已于 {at} 将其停机"),
        IdleHold::InShadow => "规则处于影子，停机只作显示：`neap promote RULE`".to_owned(),
        IdleHold::KeyUnusable { key, state } => {
            format!("停机后将无法再启动：其磁盘的密钥 `{key}` 处于状态 `{state}`")
        }
        // Those that `chinese` says.
        IdleHold::InUse(_)
        | IdleHold::IdleByTheClock(_)
        | IdleHold::NotEnoughData(_)
        | IdleHold::NotRunning(_)
        | IdleHold::Changing(_)
        | IdleHold::FindingOnly
        | IdleHold::NotOptedIn { .. }
        | IdleHold::ProtectTag { .. }
        | IdleHold::InScalingGroup(_)
        | IdleHold::Orchestrated { .. }
        | IdleHold::InTargetGroup(_)
        | IdleHold::LocalDisk
        | IdleHold::Accelerator
        | IdleHold::ForwardsTraffic
        | IdleHold::SpotTerminates
        | IdleHold::Protected(_)
        | IdleHold::PassiveRole(_)
        | IdleHold::Alarm(_)
        | IdleHold::OwnHost
        | IdleHold::Unread(_)
        | IdleHold::SavesNothing(_)
        | IdleHold::CannotHibernate
        | IdleHold::RestartRisk(_)
        | IdleHold::Exempt { .. } => String::new(),
    }
}
