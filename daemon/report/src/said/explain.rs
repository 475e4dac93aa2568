//! Explanations, line by line, and how orders end.

use std::fmt;

use fleet::Units;
use fleet::group::ServingSign;
use journal::records::{Load, Promise};
use planner::lead::{Launches, Lead, LeadFrom, Measured};
use planner::plan::Sizing;
use planner::policy::{Actuate, Share};
use planner::snapshot::{GroupView, Observation, OrderResult, Window};
use planner::{Milli, Processes};

use super::plan::loaded;
use super::{Said, zh};
use crate::explanation::{Broken, Line, Quality, next_scheduled, of_record, units};
use crate::{self as report, Reason};

/// How an order ended.
pub struct Ending<'a>(pub &'a OrderResult);

impl fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&report::ending(self.0))
    }
}

impl Said for Ending<'_> {
    fn chinese(&self) -> String {
        match self.0 {
            OrderResult::Applied => "已完成".to_owned(),
            OrderResult::Contested { found, restored: true } => {
                format!("已完成，其间曾被他人设为 {}", found.0)
            }
            OrderResult::Contested { found, restored: false } => {
                format!("其间被他人设为 {}，未再更改", found.0)
            }
            OrderResult::Moved { found } => format!("未发出：伸缩组此时已是 {}", found.0),
            OrderResult::Owned { owner } => {
                format!("未发出：伸缩组此时归 {} 管理，依据{}", owner.name, owner.evidence)
            }
            OrderResult::Stopped => "未发出：被紧急开关或模式阻止".to_owned(),
            OrderResult::Failed { fault } => format!("失败：{}", zh(fault)),
            OrderResult::Unconfirmed { effect_seen } => sent(*effect_seen).to_owned(),
        }
    }
}

/// An order whose answer was lost.
pub(super) fn sent(effect_seen: Option<bool>) -> &'static str {
    match effect_seen {
        Some(true) => "已发出，未收到应答，已见效果",
        Some(false) => "已发出，未收到应答，未见效果",
        None => "已发出，没有应答；下次先查看再行动",
    }
}

impl Said for Line<'_> {
    fn chinese(&self) -> String {
        match self {
            Line::Action(action) => {
                let dry = if action.dry_run { "（试运行）" } else { "" };
                format!("{}{dry}", zh(&action.change))
            }
            Line::Because(sizing, load) => zh(&Reason::of(sizing).counted(*load)),
            Line::Found(finding) => zh(&finding.hold),
            Line::Group(seen, load) => group(*seen, *load),
            Line::Writes((number, why)) => {
                let number = match number {
                    Actuate::Desired => "期望容量",
                    Actuate::Floor => "最小容量",
                };
                format!("{number}：{}", zh(why))
            }
            Line::Stage(memory) => {
                format!("{}，自 {} 起：{}", zh(&memory.stage), memory.since, zh(&memory.why))
            }
            Line::Needed(sizing, load) => needed(sizing, *load),
            Line::Trade(trade) => zh(*trade),
            Line::Window(window, lead) => ahead(window, *lead),
            Line::Order(result) => zh(&Ending(result)),
            Line::Quality(quality) => self::quality(quality),
            Line::Promise(broken) => self::broken(broken),
            Line::Since { at, next } => format!("{at}，下次观察 {next}"),
        }
    }
}

fn group(seen: Option<&Observation>, load: Load) -> String {
    let Some(seen) = seen else { return "未观察".to_owned() };
    let group = match &seen.group {
        Ok(group) => {
            let machines = group.aside.machines.map(|machines| format!("（{machines} 台机器）"));
            format!(
                "期望容量 {}，上下限 {}..{}，在役 {}{}，在途 {}{}",
                group.desired.0,
                group.min.0,
                group.max.0,
                group.in_service.0,
                machines.unwrap_or_default(),
                group.pending.0,
                beside(group)
            )
        }
        Err(fault) => format!("无法读取：{}", zh(fault)),
    };
    let demand = match (&seen.demand.settled, &seen.demand.fault) {
        (Some(point), fault) => {
            let what = match seen.demand.missing == Share::ALL {
                true => "只知道其中一部分",
                false => "没有更新的样本",
            };
            let unread = fault.as_ref().map(|fault| format!("，{what}：{}", zh(fault)));
            let demand = loaded(Milli::per_second(point.value), load);
            format!("需求 {demand}（{}）{}", point.start, unread.unwrap_or_default())
        }
        (None, Some(fault)) => format!("需求未知：{}", zh(fault)),
        (None, None) => "需求未知".to_owned(),
    };
    format!("{group}；{demand}")
}

/// What a cloud tells of a group beside its numbers.
fn beside(group: &GroupView) -> String {
    let mut told = String::new();
    if group.aside.buys_spot {
        told.push_str("，含抢占式实例");
    }
    if !group.aside.suspended.is_empty() {
        let suspended: Vec<_> = group.aside.suspended.iter().cloned().collect();
        told.push_str(&format!("，{} 已暂停", Processes(&suspended)));
    }
    if let Some(pool) = &group.aside.warm_pool {
        let size = pool.size.map(|size| format!("，现有 {size} 台")).unwrap_or_default();
        told.push_str(&format!("，预热池至少 {} 台{size}（{}）", pool.min, pool.state));
    }
    if let Some(action) = next_scheduled(group) {
        let sets = [("最小", action.min), ("期望", action.desired), ("最大", action.max)];
        let sets = sets.iter().filter_map(|(what, to)| Some(format!("{what} {}", (*to)?.0)));
        let sets = sets.collect::<Vec<_>>().join("、");
        let recurrence = || action.recurrence.as_ref().map(|text| format!("`{text}`"));
        let when = action.at.map(|at| at.to_string()).or_else(recurrence);
        let when = when.unwrap_or_else(|| "未知时间".to_owned());
        told.push_str(&format!("，定时任务 `{}` 于 {when} 设置{sets}", action.name));
    }
    told
}

fn needed(sizing: &Sizing, load: Load) -> String {
    let level = sizing.level.map_or_else(|| "-".to_owned(), |level| format!("q{level}"));
    let carries = sizing.capacity_milli.map_or_else(|| "未知".to_owned(), |c| loaded(c, load));
    let [lead, hold, reactive] =
        [sizing.needed_lead, sizing.needed_hold, sizing.needed_reactive].map(units);
    let Units(wanted) = sizing.wanted;
    format!(
        "预测当前需要 {lead}，保持窗口内需要 {hold}（{level} 分位），当前需求需要 {reactive}；应有 {wanted}；\
         单台承载 {carries}"
    )
}

fn ahead(window: &Window, from: Option<&Lead>) -> String {
    let Window { sample_age, poll_interval, lead_time, hold } = window;
    let lead = window.lead();
    let from = from.map_or(String::new(), |from| format!("（{}）", lead_from(from)));
    format!(
        "提前 {lead} = 样本时延 {sample_age} + 轮询间隔 {poll_interval} + 交付时间 {lead_time}{from}；\
         保持窗口 {hold}"
    )
}

fn lead_from(lead: &Lead) -> String {
    let took = |launches: &Launches, until: &str| {
        let Launches { count, took } = launches;
        format!("；{count} 次启动{until}用了 {took}")
    };
    let mut told = match lead.decided_by {
        LeadFrom::Operator => "按配置",
        LeadFrom::Measured => "按实测",
    }
    .to_owned();
    let Some(Measured { told_by, cold, warm }) = lead.measured else {
        told += &match &lead.in_service {
            Some(seen) => took(seen, "到投入服务") + "，尚未看到能够承载流量",
            None => "；尚未看到启动".to_owned(),
        };
        return told;
    };
    told += &cold.map_or(String::new(), |cold| took(&cold, "到能够承载流量"));
    told += &warm.map_or(String::new(), |warm| took(&warm, "（来自预热池）"));
    told += match told_by {
        ServingSign::WarmUp => "，以投入服务并预热为准",
        ServingSign::Targets => "，以后端健康状态为准",
        ServingSign::Member => "，以云端的预热状态为准",
        ServingSign::HealthyHosts => "，以健康主机数为准",
    };
    told
}

pub(super) fn promise(promise: &Promise) -> String {
    let (missed, promised) = promise.percent();
    format!("{} 天内 {missed} 的时间容量不足，承诺 {promised}", promise.days)
}

fn quality(Quality { loss, record, kept }: &Quality<'_>) -> String {
    let loss = loss.map(|loss| format!("损失为末值法的 {loss:.2}"));
    let record = record.as_ref().map(|record| {
        let (covered, bias) = of_record(record);
        format!("q0.9 覆盖 {covered}，偏差 {bias}")
    });
    let known: Vec<String> = [loss, record, kept.map(promise)].into_iter().flatten().collect();
    known.join("；")
}

fn broken(Broken { service, promise: made, units }: &Broken<'_>) -> String {
    let units = units.map(|(Units(wanted), needs)| {
        format!("；为守住承诺需要 {wanted} 台，而当前需求只需 {needs} 台")
    });
    format!(
        "{}{}；`neap tune --service {service}` 显示守住承诺的代价",
        promise(made),
        units.unwrap_or_default()
    )
}
