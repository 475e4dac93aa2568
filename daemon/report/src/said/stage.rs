//! Who acts, and why not yet.

use planner::stage::{Missing, Stage, StageAsk, StageRequest, Why};

use super::Said;

impl Said for Stage {
    fn chinese(&self) -> String {
        match self {
            Stage::Shadow => "影子".to_owned(),
            Stage::Canary { share } => format!("金丝雀（{share}）"),
            Stage::Promoted => "已晋级".to_owned(),
        }
    }
}

impl Said for Why {
    fn chinese(&self) -> String {
        match self {
            Why::New => "尚未晋级".to_owned(),
            Why::Promoted { by, anyway: false } => format!("由 {by} 晋级"),
            Why::Promoted { by, anyway: true } => format!("由 {by} 在未达门槛时晋级"),
            Why::Demoted { by } => format!("由 {by} 退回"),
            Why::RegretViolations { violations, intervals } => {
                format!("自动退回：{intervals} 个区间中有 {violations} 个违约")
            }
            Why::RegretRemovals { removals } => {
                format!("自动退回：有 {removals} 次缩容之后出现违约")
            }
            Why::RegretRestarts { restarts } => {
                format!("自动退回：它停掉的机器中有 {restarts} 台被人重新启动")
            }
            Why::NewJournal => "日志是新建的，先前的日志已不在".to_owned(),
        }
    }
}

impl Said for Missing {
    fn chinese(&self) -> String {
        let percent = |millionths: u32| f64::from(millionths) / 1e4;
        match self {
            Missing::Time { have, need } => format!("影子阶段已 {have}，需要 {need}"),
            Missing::Decisions { have, need } => format!("决策 {have} 个，需要 {need} 个"),
            Missing::Violations { would, most } => {
                format!("违约 {:.2}%，上限 {:.2}%", percent(*would), percent(*most))
            }
            Missing::Cost { per_mille, most, usd } => {
                let percent = |per_mille: u32| f64::from(per_mille) / 10.0;
                let usd = usd.map_or_else(String::new, |[actual, would]| {
                    format!("（{actual:.2} USD 变为 {would:.2} USD）")
                });
                format!("费用 {:.1}%，上限 {:.1}%{usd}", percent(*per_mille), percent(*most))
            }
            Missing::Forecast => "预测暂不采信".to_owned(),
            Missing::WrongStops { wrong, stops, most } => {
                format!("{stops} 次停机中有 {wrong} 次误停，上限 {most}")
            }
        }
    }
}

impl Said for StageRequest {
    fn chinese(&self) -> String {
        let by = &self.by;
        match &self.ask {
            StageAsk::Promote { service, share, anyway, bound_to: _ } => {
                let share = share.map_or_else(String::new, |share| format!("为金丝雀（{share}）"));
                let anyway = if *anyway { "，虽未达门槛" } else { "" };
                format!("{by} 晋级 {service}{share}{anyway}")
            }
            StageAsk::PromoteRule { rule } => format!("{by} 晋级规则 {rule}"),
            StageAsk::Demote { service } => format!("{by} 退回 {service}"),
            StageAsk::DemoteRule { rule } => format!("{by} 退回规则 {rule}"),
            StageAsk::DemoteAll => format!("{by} 退回全部"),
            StageAsk::PromoteGatedRule { rule, anyway, bound_to: _ } => {
                let anyway = if *anyway { "，虽未达门槛" } else { "" };
                format!("{by} 晋级规则 {rule}{anyway}")
            }
            // Who it was, nobody knows.
            StageAsk::StartedAgain { rule, resource, stopped_at } => {
                format!("规则 {rule} 于 {stopped_at} 停掉的 {resource} 被人重新启动")
            }
            StageAsk::Acknowledge { service } => format!("{by} 确认 {service} 的需求属实"),
            StageAsk::AcknowledgeAll => format!("{by} 确认所有服务的需求属实"),
            StageAsk::NewJournal => format!("{by} 新建日志，一切从影子开始"),
        }
    }
}
