//! The story of one resource.

use planner::idle::snapshot::{PowerOutcome, PowerResult};

use super::explain::sent;
use super::{Said, zh};
use crate::idle::rows::Row;
use crate::idle::story::{Event, StoryLine};

impl Said for PowerResult {
    fn chinese(&self) -> String {
        match self {
            PowerResult::Taken => "已受理".to_owned(),
            PowerResult::Moved { found } => format!("未发出：{}", zh(found)),
            PowerResult::Withheld => "未发出：被紧急开关或模式阻止".to_owned(),
            PowerResult::Failed { fault } => format!("失败：{}", zh(fault)),
            PowerResult::Unconfirmed { effect_seen } => sent(*effect_seen).to_owned(),
        }
    }
}

/// Whether a machine was told to go up or down.
pub(super) fn verb(outcome: &PowerOutcome) -> &'static str {
    if outcome.up { "开机" } else { "停机" }
}

impl Said for Event {
    fn chinese(&self) -> String {
        match self {
            Event::Agreed { by } => format!("{by} 批准停机"),
            Event::Refused { by } => format!("{by} 拒绝停机"),
            Event::Wake { by, until } => format!("{by} 要求开机至 {until}"),
            Event::Exempt { by, until } => format!("{by} 要求豁免至 {until}"),
            // It is what people were sent.
            Event::Alert(title) => format!("告警：{title}"),
            Event::Ended(outcome) => format!(
                "{}{}（{}；决策 {}）",
                verb(outcome),
                zh(&outcome.result),
                zh(&outcome.because),
                outcome.decision
            ),
        }
    }
}

impl Said for StoryLine<'_> {
    fn chinese(&self) -> String {
        match self {
            StoryLine::Head { row, power, looked_at } => {
                let class = row.class.as_ref().map(|class| format!("，{class}"));
                let power = power.map(|power| format!("，{}", zh(power)));
                let looked = looked_at.map(|at| format!("，观察于 {at}"));
                format!(
                    "{}（{}{}{}）{}",
                    row.resource,
                    row.name,
                    class.unwrap_or_default(),
                    power.unwrap_or_default(),
                    looked.unwrap_or_default()
                )
            }
            StoryLine::Rule(rule) => format!("  规则  {rule}"),
            StoryLine::Schedule(rule) => format!("  排程  {rule}"),
            StoryLine::Verdict(verdict) => format!("  结论  {}", zh(*verdict)),
            // As wide as the words above it.
            StoryLine::Numbers(numbers) => format!("        {}", zh(*numbers)),
            StoryLine::Stage(stage) => format!("  阶段  {}", zh(*stage)),
            StoryLine::Held(hold) => format!("  暂缓  {}", zh(*hold)),
            StoryLine::Saving(row) => format!("  节省  {}", saving(row)),
            StoryLine::Event(at, event) => format!("  {at}  {}", zh(*event)),
        }
    }
}

fn saving(row: &Row) -> String {
    let Some(saving) = &row.saving else { return "未计算".to_owned() };
    let still_paid: Vec<String> = saving.still_paid.iter().map(zh).collect();
    let paid = match still_paid.is_empty() {
        true => String::new(),
        false => format!("；仍需付费：{}", still_paid.join("、")),
    };
    match (row.monthly(), &saving.price) {
        (Some(monthly), Some(price)) => {
            let source = zh(&price.source);
            format!("每月 {monthly}，价格来自 {source}（{}）{paid}", price.as_of)
        }
        (Some(monthly), None) => format!("每月 {monthly}{paid}"),
        (None, _) => format!("未知：没有价格{paid}"),
    }
}
