//! What people are paged for.

use fleet::alert::Condition;

use planner::snapshot::NoAnswer;

use super::{Said, zh};
use crate::conditions::Trouble;

impl Said for Trouble {
    fn chinese(&self) -> String {
        match self {
            Trouble::Order { change, fault } => format!("{}：{}", zh(change), zh(fault)),
            Trouble::Short { told, has, since, cloud } => {
                let words = cloud.as_ref().map(|words| format!("；云的原话：{words}"));
                let words = words.unwrap_or_default();
                format!("{since} 后仍只有 {} 台在役，应有 {} 台{words}", has.0, told.0)
            }
            Trouble::Held(hold) => zh(hold),
            Trouble::Unread(fault) => format!("没有更新的样本：{}", zh(fault)),
            Trouble::Missed(promise) => super::explain::promise(promise),
            Trouble::Thrown(why) => zh(why),
            Trouble::ReserveOnly => "扩容照常，不再缩容或停机".to_owned(),
            Trouble::NotWritten(why) => why.clone(),
            Trouble::Undiscovered(missing) => zh(missing),
        }
    }
}

impl Said for NoAnswer {
    fn chinese(&self) -> String {
        let fault = zh(&self.fault);
        match self.known_at {
            Some(at) => format!("{fault}；其伸缩组的信息截至 {at}"),
            None => format!("{fault}；尚不知道其中任何伸缩组"),
        }
    }
}

/// Whom it concerns.
pub fn who<'a>(
    of: Condition,
    mut names: impl ExactSizeIterator<Item = &'a String>,
    scope: &str,
) -> String {
    let many = names.len();
    match (of, names.next(), many) {
        (Condition::KillSwitch | Condition::Journal, ..) | (_, None, _) => String::new(),
        (_, Some(name), 1) => format!("{name}："),
        (Condition::Discovery, ..) => format!("{scope} 的 {many} 处："),
        _ => format!("{scope} 的 {many} 个服务："),
    }
}

/// What is wrong.
pub fn what(of: Condition, first: Option<&Trouble>) -> &'static str {
    match of {
        Condition::OrderRefused => "指令未被执行",
        Condition::GroupShort => "在役台数少于已下达的容量",
        Condition::DemandUnknown => "无法读取需求或伸缩组",
        Condition::OutageShape => "需求骤降，形似故障",
        Condition::DemandDoubted => "需求下降，且没有任何迹象表明属实",
        Condition::PromiseUsedUp => "容量不足的时间超过承诺",
        Condition::AtMaximum => "所需容量超过上限",
        Condition::KillSwitch => "紧急开关已打开，不在任何云上做变更",
        Condition::Journal => match first {
            Some(Trouble::ReserveOnly) => "日志库只剩预留空间",
            _ => "日志库无法写入，不在任何云上做变更",
        },
        Condition::Discovery => "无法查找伸缩组",
    }
}

/// That it is over.
pub fn over(of: Condition) -> &'static str {
    match of {
        Condition::OrderRefused => "不再有指令失败",
        Condition::GroupShort => "已下达的容量全部在役",
        Condition::DemandUnknown => "需求和伸缩组已可读取",
        Condition::OutageShape => "需求不再形似故障",
        Condition::DemandDoubted => "需求重新可信",
        Condition::PromiseUsedUp => "承诺重新得到遵守",
        Condition::AtMaximum => "不再受上限限制",
        Condition::KillSwitch => "紧急开关已关闭，恢复变更",
        Condition::Journal => "日志库已可写入且有空间",
        Condition::Discovery => "已能查找伸缩组",
    }
}

/// Where to look.
pub fn hint(of: Condition, first: Option<&String>) -> Option<String> {
    Some(match of {
        Condition::KillSwitch => "移除紧急开关的文件即可继续".to_owned(),
        Condition::Journal => "请为 `state_dir` 所在磁盘腾出空间，或修复它".to_owned(),
        Condition::Discovery => "已知的伸缩组照常工作；看不到新的伸缩组".to_owned(),
        Condition::DemandUnknown | Condition::OutageShape | Condition::DemandDoubted => {
            format!("期间不缩容；`neap explain {}`", first?)
        }
        Condition::OrderRefused
        | Condition::GroupShort
        | Condition::PromiseUsedUp
        | Condition::AtMaximum => format!("`neap explain {}`", first?),
    })
}
