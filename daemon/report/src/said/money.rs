//! Money in Chinese.

use fleet::FaultKind;
use fleet::rent::{MoneyBaseline, UnitPrice, Unpriced};

use super::{Said, zh};
use crate::money::{MoneyLine, amount, amounts};

impl Said for UnitPrice {
    fn chinese(&self) -> String {
        let price = format!("每小时 {} {}", self.amount(), self.currency);
        if self.sources.is_empty() {
            return format!("{price}（`price_usd_hourly`）");
        }
        let sources: Vec<String> = self.sources.iter().map(zh).collect();
        format!("{price}（来自 {}，{}）", sources.join("和 "), self.day())
    }
}

impl Said for Unpriced {
    fn chinese(&self) -> String {
        match self {
            Unpriced::NotRead => "尚未读取".to_owned(),
            Unpriced::NoMembers => "组内没有机器，无从得知规格".to_owned(),
            Unpriced::NotListed { class } => format!("`{class}` 没有目录价"),
            Unpriced::OnHosts => "位于整机付费的专有宿主机上".to_owned(),
            Unpriced::PaidAhead => "已预付".to_owned(),
            Unpriced::Currencies => "机器以多种货币计费".to_owned(),
            Unpriced::NoPriceList { region } => format!("`{region}` 读不到价目表"),
            Unpriced::Denied { operation } => format!("`{operation}` 被拒绝"),
            Unpriced::Unread { operation, kind } => {
                format!("`{operation}` 失败：{}", why(kind))
            }
            Unpriced::NoSource => "该云不提供价格".to_owned(),
        }
    }
}

fn why(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Throttled { .. } => "被限流",
        FaultKind::Unreachable => "无法连通",
        FaultKind::Unconfirmed => "没有得到应答",
        FaultKind::Conflict { .. } => "与别处的改动冲突",
        FaultKind::OutOfCapacity => "库存不足",
        FaultKind::Denied { .. } => "被拒绝",
        FaultKind::Missing => "称对象不存在",
        FaultKind::Refused => "被驳回",
        FaultKind::Unreadable => "应答无法理解",
        FaultKind::TimedOut => "超时",
    }
}

impl Said for MoneyBaseline {
    fn chinese(&self) -> String {
        let told = match self {
            MoneyBaseline::Peak => "每天的峰值规模",
            MoneyBaseline::Before => "接入 neap 之前的平均规模",
            MoneyBaseline::Native => "在相同负载上模拟的目标追踪伸缩",
        };
        told.to_owned()
    }
}

impl Said for MoneyLine {
    fn chinese(&self) -> String {
        let more =
            |more: usize| if more > 0 { format!("，另有 {more} 个") } else { String::new() };
        match self {
            MoneyLine::Costs { hourly, priced, services } => format!(
                "受管集群每小时花费 {}（{services} 个服务中 {priced} 个有价格）",
                amounts(hourly)
            ),
            MoneyLine::Saved { currency, saved, baseline } => {
                let claimed = saved.claimed_micro();
                let mut told = match claimed < 0 {
                    true => format!(
                        "本月花费：比{}多 {}，按目录价",
                        zh(baseline),
                        amount(-claimed, *currency)
                    ),
                    false => format!(
                        "本月节省：{}（{:.1}%），相对{}，按目录价",
                        amount(claimed, *currency),
                        saved.percent(),
                        zh(baseline)
                    ),
                };
                if saved.unclaimed_micro > 0 {
                    let unclaimed = amount(saved.unclaimed_micro, *currency);
                    told.push_str(&format!("；其中由承诺消费支付的 {unclaimed} 不计入"));
                }
                told
            }
            MoneyLine::NothingActed => "本月节省：无，neap 没有调节任何服务".to_owned(),
            MoneyLine::NoBaseline { named, more: rest, baseline } => {
                format!("{}未知：{}{}", zh(baseline), named.join("、"), more(*rest))
            }
            MoneyLine::Unpriced { named, more: rest } => {
                let told: Vec<String> =
                    named.iter().map(|(name, why)| format!("{name}（{}）", zh(why))).collect();
                format!("价格未知：{}{}", told.join("、"), more(*rest))
            }
        }
    }
}
