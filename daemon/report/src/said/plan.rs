//! Decisions and their reasons.

use fleet::{Change, Fault, FaultKind, Timestamp};
use journal::records::Load;
use planner::plan::{Bound, BudgetOf, DecidedBy, Hold, Trade};
use planner::policy::FreezeScope;
use planner::snapshot::NoForecast;
use planner::{Milli, OUTAGE_LASTS, Processes, TradeSize, When, WrittenBecause};

use super::{Said, zh};
use crate::{Reason, rate};

/// A load with what it is counted in.
pub(super) fn loaded(demand: Milli, load: Load) -> String {
    match load {
        Load::PerSecond => format!("{}/s", rate(demand)),
        Load::BusyUnits => format!("{} 个忙碌单元", rate(demand)),
    }
}

impl Said for Change {
    fn chinese(&self) -> String {
        match self {
            Change::Desired { from, to } => format!("期望容量 {} → {}", from.0, to.0),
            Change::Minimum { from, to } => format!("最小容量 {} → {}", from.0, to.0),
        }
    }
}

impl Said for Reason {
    fn chinese(&self) -> String {
        let why = match &self.decided_by {
            DecidedBy::Forecast => {
                let demand = self.sized_for_milli.map(|d| format!(" {}", loaded(d, self.load)));
                let level = self.level.map(|level| format!("（q{level} 分位）"));
                let carries =
                    self.capacity_milli.map(|c| format!("，单台承载 {}", loaded(c, self.load)));
                format!(
                    "预测 {} 内需求{}{}{}",
                    self.lead,
                    demand.unwrap_or_default(),
                    level.unwrap_or_default(),
                    carries.unwrap_or_default()
                )
            }
            DecidedBy::ReactiveFloor => match &self.needed_reactive {
                Some(units) => format!("当前需求及其近期最快涨幅需要 {}", zh(units)),
                None => "由当前需求及其近期最快涨幅决定".to_owned(),
            },
            DecidedBy::Minimum => "下限".to_owned(),
            DecidedBy::Maximum => "上限".to_owned(),
            DecidedBy::LastTrusted => "所知太少，沿用最近一次可信的值".to_owned(),
            DecidedBy::Event { name, until } => format!("事件 `{name}`，至 {until}"),
            DecidedBy::Hours { at, until } => format!("时段 `{at}`，至 {until}"),
        };
        match self.demand_milli {
            Some(demand) => format!("{why}；当前 {}", loaded(demand, self.load)),
            None => why,
        }
    }
}

impl Said for Trade {
    fn chinese(&self) -> String {
        let size = |TradeSize { units, missed, usd_hourly }: TradeSize| {
            let missed = missed.percent().unwrap_or_else(|| "低于 0.01%".to_owned());
            let usd = usd_hourly.map_or_else(String::new, |usd| format!("，{usd} USD/h"));
            format!("{units} 台：{missed} 的时间容量不足{usd}")
        };
        self.sizes().map(size).collect::<Vec<_>>().join("；")
    }
}

impl Said for Bound {
    fn chinese(&self) -> String {
        let bound = match self {
            Bound::PolicyMin => "配置的 `min`",
            Bound::PolicyMax => "配置的 `max`",
            Bound::CloudMin => "伸缩组自身的最小值",
            Bound::CloudMax => "伸缩组自身的最大值",
        };
        bound.to_owned()
    }
}

impl Said for WrittenBecause {
    fn chinese(&self) -> String {
        match self {
            WrittenBecause::Configured => "由 `actuate` 指定".to_owned(),
            WrittenBecause::ScalesIn { policy } => {
                format!("伸缩组自带的策略 `{policy}` 会在最小容量之上缩容")
            }
            WrittenBecause::NoPolicy => "伸缩组没有启用自带的策略".to_owned(),
            WrittenBecause::NeverScaleIn { policies: 1 } => "伸缩组自带的策略不会缩容".to_owned(),
            WrittenBecause::NeverScaleIn { policies } => {
                format!("伸缩组自带的 {policies} 个策略都不会缩容")
            }
            WrittenBecause::AlarmsSuspended => {
                "AlarmNotification 已暂停，伸缩组自带的策略不起作用".to_owned()
            }
            WrittenBecause::Unread => "无法读取伸缩组自带的策略".to_owned(),
        }
    }
}

impl Said for BudgetOf {
    fn chinese(&self) -> String {
        match self {
            BudgetOf::Group => "伸缩组".to_owned(),
            BudgetOf::Account(account) => format!("账号 `{account}` "),
            BudgetOf::Fleet => "全部服务".to_owned(),
        }
    }
}

impl Said for FreezeScope {
    fn chinese(&self) -> String {
        let scope = match self {
            FreezeScope::Decreases => "缩容",
            FreezeScope::All => "一切变更",
        };
        scope.to_owned()
    }
}

impl Said for NoForecast {
    fn chinese(&self) -> String {
        match self {
            NoForecast::TooLittleHistory { have, need } => {
                format!("目前有 {have} 个样本，需要 {need} 个")
            }
            NoForecast::WaitingForRefit => "模型尚在生成".to_owned(),
            NoForecast::Unusable { why } => zh(why),
            NoForecast::NoData => "没有样本到达".to_owned(),
        }
    }
}

impl Said for Fault {
    fn chinese(&self) -> String {
        let kind = match &self.kind {
            FaultKind::Throttled { .. } => "被限流".to_owned(),
            FaultKind::Unreachable => "无法连通".to_owned(),
            FaultKind::Unconfirmed => "没有得到应答".to_owned(),
            FaultKind::Conflict { .. } => "与别处的改动冲突".to_owned(),
            FaultKind::OutOfCapacity => "库存不足".to_owned(),
            FaultKind::Denied { permission: None } => "被拒绝".to_owned(),
            FaultKind::Denied { permission: Some(permission) } => {
                format!("被拒绝，缺少权限 `{permission}`")
            }
            FaultKind::Missing => "称对象不存在".to_owned(),
            FaultKind::Refused => "被驳回".to_owned(),
            FaultKind::Unreadable => "的应答无法解读".to_owned(),
            FaultKind::TimedOut => "超时".to_owned(),
        };
        let detail = match self.detail.is_empty() {
            true => String::new(),
            false => format!("：{}", self.detail),
        };
        let request = self.request_id.as_ref().map(|id| format!("（请求 `{id}`）"));
        format!("`{}` {kind}{detail}{}", self.operation, request.unwrap_or_default())
    }
}

/// One line: what was found, with its numbers, and what releases it.
impl Said for Hold {
    fn chinese(&self) -> String {
        // Where the line ends with the moment or the remedy, nothing is to be added.
        match self {
            Hold::RightSize => "规模合适".to_owned(),
            Hold::KillSwitch { why } => {
                released(&format!("紧急开关已打开：{}", zh(why)), "移除紧急开关的文件")
            }
            Hold::ObserveOnly => {
                released("模式为 `observe`，变更仅作展示", "设置 `mode = \"act\"`")
            }
            Hold::Shadow { why, since } => {
                let what = format!("自 {since} 起处于影子阶段（{}），变更仅作展示", zh(why));
                released(&what, "`neap promote`")
            }
            Hold::Canary { share, left, refills_at } => {
                let left = zh(left);
                let what = format!("金丝雀阶段只用缩容预算的 {share}，剩余 {left}");
                refilled(&what, *refills_at)
            }
            Hold::OfferVoid { by } => {
                let what = format!("{by} 的晋级已失效，配置或阶段已变");
                released(&what, "重新执行 `neap promote`")
            }
            Hold::Frozen { name, scope, until } => {
                timed(&format!("冻结期 `{name}` 禁止{}", zh(scope)), *until)
            }
            Hold::Owned { owner, evidence } => released(
                &format!("伸缩组归 {owner} 管理，依据 `{evidence}`"),
                &format!("移除 `{evidence}`，或移除本服务"),
            ),
            Hold::SizedBy { service } => released(
                &format!("伸缩组已由服务 `{service}` 调整规模"),
                &format!("移除 `{service}` 或移除本服务：一个伸缩组只归一个服务"),
            ),
            Hold::Undiscovered { place, why } => released(
                &format!(
                    "自 {} 起无法列出 {place} 的伸缩组：{}",
                    When(why.since),
                    zh(why.as_ref())
                ),
                &format!("{place} 再次应答"),
            ),
            Hold::NativePolicy { name } => released(
                &format!("伸缩组自带的策略 `{name}` 也可能缩容"),
                "设置 `actuate = \"floor\"`，或停用该策略的缩容",
            ),
            Hold::Override { who, from, to, until } => {
                let what = format!("他人更改了{}（{} → {}）", zh(who), from.0, to.0);
                timed(&what, *until)
            }
            Hold::Unobserved => released("本周期未观察", "下一个能观察到它的周期"),
            Hold::GroupUnread { fault } => {
                released(&format!("无法读取伸缩组：{}", zh(fault)), "下一次成功读取伸缩组")
            }
            other => of_data(other),
        }
    }
}

fn of_data(hold: &Hold) -> String {
    const ARRIVE: &str = "样本恢复到达";
    match hold {
        Hold::NoDemand { fault: Some(fault) } => {
            released(&format!("需求未知：{}", zh(fault)), ARRIVE)
        }
        Hold::NoDemand { fault: None } => released("需求未知", ARRIVE),
        Hold::DemandStale { age, limit } => {
            released(&format!("最新的需求样本已有 {age}，上限 {limit}"), ARRIVE)
        }
        Hold::DemandIncomplete { missing } => {
            released(&format!("缺少占需求 {missing} 的指标"), ARRIVE)
        }
        Hold::Provisional => released("只有可能再变的样本要求减少容量", "样本稳定下来"),
        Hold::Censored => {
            released("容量已满，实际需求至少等于所见", "出现利用率和错误都低于限值的样本")
        }
        Hold::Absurd { what } => released(&format!("{}，不可能为真", zh(what)), "出现可信的样本"),
        Hold::Unconfirmed { demand_milli, known_milli } => released(
            &format!("需求样本 {}/s 超出以往所见（{}/s），只先扩容一步", demand_milli, known_milli),
            "下一个样本",
        ),
        Hold::SensorStuck { units } => released(
            &format!("无论加多少，{} 的 `utilisation` 始终已满，不再采信该指标", zh(units)),
            "出现利用率低于限值的样本",
        ),
        Hold::FullBelow { carries_milli, given_milli } => released(
            &format!("单台在 {}/s 时已满，而给出的承载能力为 {}/s", carries_milli, given_milli),
            "实测得出的 `capacity_per_unit`",
        ),
        Hold::NoForecast { why } => format!("没有预测（{}），仅由当前需求决定", zh(why)),
        Hold::ForecastDistrusted { loss_percent } => {
            format!("预测暂不采信，近期损失为末值法的 {loss_percent}%")
        }
        Hold::CapacityUnknown { have, need } => released(
            &format!("单台承载能力尚不清楚，{need} 个区间中已有 {have} 个"),
            "更多带利用率的区间，或给出 `capacity_per_unit`",
        ),
        Hold::OutageShape { fallen, of, since } => released(
            &format!("{of} 个服务中有 {fallen} 个的需求自 {since} 起像故障那样骤降"),
            &match When(*since + OUTAGE_LASTS).comes() {
                Some(at) => format!("需求回到预测区间、`neap acknowledge`，或等到 {at}"),
                None => "需求回到预测区间，或 `neap acknowledge`".to_owned(),
            },
        ),
        Hold::FellAlone { since, until } => released(
            &format!("需求自 {since} 起骤降，且没有任何迹象表明属实"),
            &match When(*until).comes() {
                Some(at) => {
                    format!("需求回到预测区间、利用率随之下降、`neap acknowledge`，或等到 {at}")
                }
                None => "需求回到预测区间、利用率随之下降，或 `neap acknowledge`".to_owned(),
            },
        ),
        Hold::Disagree { since, demand_milli, with_milli } => released(
            &format!(
                "需求与利用率自 {since} 起不一致：单台与需求 {with_milli}/s 时一样忙，而需求仅为 {demand_milli}/s"
            ),
            "需求与利用率一同变化，或 `neap acknowledge`",
        ),
        Hold::GroupIsChanging { pending, terminating } => released(
            &format!("{} 正在加入，{} 正在移除", zh(pending), zh(terminating)),
            "伸缩组稳定下来",
        ),
        Hold::WarmingUp { units } => released(&format!("{} 仍在预热", zh(units)), "伸缩组稳定下来"),
        other => of_group(other),
    }
}

fn of_group(hold: &Hold) -> String {
    match hold {
        Hold::UnknownMembers { units } => {
            released(&format!("{} 处于本版本不认识的状态", zh(units)), "它们离开该状态")
        }
        Hold::Refreshing { id } => released(&format!("实例刷新 `{id}` 正在进行"), "刷新结束"),
        Hold::Deploying { suspended, until } => {
            timed(&format!("{} 已暂停，与部署时的做法相同", Processes(suspended)), *until)
        }
        Hold::LaunchesFail { short, why } => released(
            &format!("启动失败，已下单而未到的有 {}：`{why}`", zh(short)),
            "有实例启动成功",
        ),
        Hold::Hours { at, max, until } => {
            timed(&format!("时段 `{at}` 最多允许 {}", zh(max)), *until)
        }
        Hold::HoursFloor { at, floor, until } => {
            timed(&format!("时段 `{at}` 要求至少保持 {}", zh(floor)), *until)
        }
        Hold::Suspended { process } => {
            released(&format!("进程 `{process}` 已暂停"), &format!("恢复 `{process}`"))
        }
        Hold::AtBound { bound, value } => {
            let bound = zh(bound);
            released(&format!("{bound}为 {}", zh(value)), &format!("调整{bound}"))
        }
        Hold::CoolingDown { until } => timed("规模刚刚变更过，处于冷却时间", *until),
        Hold::HoldWindow { needed, window } => {
            released(&format!("{window} 内可能又需要 {}", zh(needed)), "预测表明较小的规模足够")
        }
        Hold::Dwelling { most, until } => {
            timed(&format!("需求低于较小规模的时间还不够长，其间最多需要 {}", zh(most)), *until)
        }
        Hold::Unproven { kept, until } => {
            timed(&format!("尚未证明少于 {} 已经足够", zh(kept)), *until)
        }
        Hold::EventFloor { name, floor, until } => {
            timed(&format!("事件 `{name}` 要求至少保持 {}", zh(floor)), *until)
        }
        Hold::StepLimit { step } => format!("一次扩容最多 {}", zh(step)),
        Hold::OverBudget { budget, left, refills_at } => {
            let what = format!("{}的缩容预算剩余 {}", zh(budget), zh(left));
            refilled(&what, *refills_at)
        }
        Hold::Protected { protected } => {
            released(&format!("{} 受缩容保护", zh(protected)), "取消缩容保护")
        }
        Hold::BillingMinimum { until } => timed("最新的几台已付过费，移除也不省钱", *until),
        Hold::OrderUnconfirmed { decision } => {
            released(&format!("决策 `{decision}` 的结果未知"), "读到它的效果")
        }
        Hold::OutOfCapacity { short } => {
            format!("云上目前库存不足，已下单而未到的有 {}", zh(short))
        }
        Hold::DiskReserve => released("日志只剩预留空间", "日志所在磁盘有空间"),
        Hold::SpendCeiling { usd_milli_hourly } => released(
            &format!("费用上限为每小时 {} USD", Milli::whole(*usd_milli_hourly)),
            "提高上限，或改用更便宜的伸缩组",
        ),
        // Those that `chinese` and `of_data` say.
        Hold::RightSize
        | Hold::KillSwitch { .. }
        | Hold::ObserveOnly
        | Hold::Shadow { .. }
        | Hold::Canary { .. }
        | Hold::OfferVoid { .. }
        | Hold::Frozen { .. }
        | Hold::Owned { .. }
        | Hold::NativePolicy { .. }
        | Hold::SizedBy { .. }
        | Hold::Undiscovered { .. }
        | Hold::Override { .. }
        | Hold::Unobserved
        | Hold::GroupUnread { .. }
        | Hold::NoDemand { .. }
        | Hold::DemandStale { .. }
        | Hold::DemandIncomplete { .. }
        | Hold::Provisional
        | Hold::Censored
        | Hold::Absurd { .. }
        | Hold::NoForecast { .. }
        | Hold::ForecastDistrusted { .. }
        | Hold::CapacityUnknown { .. }
        | Hold::Unconfirmed { .. }
        | Hold::SensorStuck { .. }
        | Hold::FullBelow { .. }
        | Hold::OutageShape { .. }
        | Hold::FellAlone { .. }
        | Hold::Disagree { .. }
        | Hold::GroupIsChanging { .. }
        | Hold::WarmingUp { .. } => String::new(),
    }
}

fn released(what: &str, by: &str) -> String {
    format!("{what}；解除条件：{by}")
}

fn timed(what: &str, until: Timestamp) -> String {
    match When(until).comes() {
        Some(until) => format!("{what}；至 {until}"),
        None => format!("{what}；无期限"),
    }
}

fn refilled(what: &str, at: Timestamp) -> String {
    match When(at).comes() {
        Some(at) => format!("{what}；{at} 恢复一台"),
        None => format!("{what}；不再恢复"),
    }
}
