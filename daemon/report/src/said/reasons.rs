//! Reasons inside decisions and holds, and what people are answered.

use fleet::OrTold;
use fleet::signs::{
    Clue, FactName, Holder, NoSaving, PriceSource, Protection, RoleSign, StillPaid, UnknownFact,
};
use planner::idle::memory::Scope;
use planner::idle::reasons::{
    ApprovalReason, ExemptReason, LastLook, NotIdle, RiskReason, ScheduleFault, ScheduleGap,
    StartFailure, TagFault,
};
use planner::reasons::{AbsurdNumber, Author, ForeignChange, SwitchThrown, UnusableForecast};

use super::{Said, zh};

/// What old records and others told stays as it was told.
impl<T: Said> Said for OrTold<T> {
    fn chinese(&self) -> String {
        match self {
            OrTold::Value(value) => zh(value),
            OrTold::Told(text) => text.clone(),
        }
    }
}

impl Said for SwitchThrown {
    fn chinese(&self) -> String {
        match self {
            SwitchThrown::Exists { path } => format!("`{path}` 存在"),
            SwitchThrown::Unchecked { path, error } => format!("无法检查 `{path}`：{error}"),
        }
    }
}

impl Said for ForeignChange {
    fn chinese(&self) -> String {
        match self {
            ForeignChange::Raced => "规模，在我们观察与调用之间".to_owned(),
            ForeignChange::Desired { by } => format!("期望容量，来自 {}", zh(by)),
            ForeignChange::Minimum { by } => format!("最小值，来自 {}", zh(by)),
            ForeignChange::Maximum { by } => format!("最大值，来自 {}", zh(by)),
        }
    }
}

impl Said for Author {
    fn chinese(&self) -> String {
        let author = match self {
            Author::Schedule => "定时任务",
            Author::User => "用户请求",
            Author::Unnamed => "云未指明的人",
            Author::Described(text) => text,
        };
        author.to_owned()
    }
}

impl Said for AbsurdNumber {
    fn chinese(&self) -> String {
        match self {
            AbsurdNumber::Demand { value, at } => format!("{at} 的需求为 {value}"),
        }
    }
}

impl Said for UnusableForecast {
    fn chinese(&self) -> String {
        let why = match self {
            UnusableForecast::Values => "它的值不可能是需求",
            UnusableForecast::Levels => "它的分位与值不相符",
        };
        why.to_owned()
    }
}

impl Said for RiskReason {
    fn chinese(&self) -> String {
        match self {
            RiskReason::Scarce { class } => format!("规格 `{class}` 稀缺"),
            RiskReason::BareMetal { class } => format!("规格 `{class}` 为裸金属"),
            RiskReason::Spot => "抢占式实例只有在库存有余时才能开机".to_owned(),
            RiskReason::NoCapacity { failed, of } => {
                format!("此可用区该规格 {of} 次开机中有 {failed} 次库存不足")
            }
            RiskReason::AddressChanges => "公网地址会变".to_owned(),
            RiskReason::CreditsLost => "CPU 积分可能丢失".to_owned(),
        }
    }
}

impl Said for ApprovalReason {
    fn chinese(&self) -> String {
        match self {
            ApprovalReason::Database => "数据库必须由人批准才停机".to_owned(),
            ApprovalReason::Rule => "规则如此要求".to_owned(),
            ApprovalReason::Schedule => "排程如此要求".to_owned(),
            ApprovalReason::TakenBack { back, stops } => {
                format!("规则的 {stops} 次停机中有 {back} 次被人手动恢复")
            }
        }
    }
}

impl Said for ExemptReason {
    fn chinese(&self) -> String {
        match self {
            ExemptReason::Asked { by } => format!("由 {by} 要求"),
            ExemptReason::Refused { by } => format!("{by} 拒绝停机"),
            ExemptReason::StartedAgain { rule } => {
                format!("规则 `{rule}` 停机之后，有人又将其开机")
            }
        }
    }
}

impl Said for Scope {
    fn chinese(&self) -> String {
        match self {
            Scope::Account { provider, account } => format!("账号 {provider}/{account} "),
            Scope::Rule { rule, provider, account } => {
                format!("规则 `{rule}` 在账号 {provider}/{account} ")
            }
            Scope::Tag { rule, value } => format!("规则 `{rule}` 的组 `{value}` "),
        }
    }
}

impl Said for NotIdle {
    fn chinese(&self) -> String {
        match self {
            NotIdle::NoSamples => "没有样本".to_owned(),
            NotIdle::NoSampleOf { signal } => format!("{signal} 没有样本"),
            NotIdle::Above { signal, worst_milli, limit_milli } => {
                let [worst, limit] = [*worst_milli, *limit_milli].map(|milli| milli as f64 / 1e3);
                format!("{signal} 为 {worst:.1}，上限 {limit}")
            }
        }
    }
}

impl Said for ScheduleGap {
    fn chinese(&self) -> String {
        match self {
            ScheduleGap::Uncovered { at } => format!("{at} 时尚不清楚"),
            ScheduleGap::Fault(fault) => zh(fault),
        }
    }
}

impl Said for ScheduleFault {
    fn chinese(&self) -> String {
        match self {
            ScheduleFault::Hours(fault) => zh(fault),
            ScheduleFault::Order { tag, text } => format!("标签 `{tag}` 为 `{text}`，应为整数"),
        }
    }
}

impl Said for TagFault {
    fn chinese(&self) -> String {
        match self {
            TagFault::Differ { first, second } => {
                format!("标签 `{first}` 与 `{second}` 仅大小写不同，内容却不一致")
            }
            TagFault::NoHours { key, list } => {
                format!("`{key}={list}` 不是日期与钟点的列表，应形如 `(M-F,19)`")
            }
            TagFault::Blank { key } => format!("`{key}` 旁的空格使 Custodian 看不到它"),
            TagFault::UnknownKey { key } => format!("未知的键 `{key}`，应为 `on`、`off` 或 `tz`"),
            TagFault::NoPair { piece } => format!("`{piece}` 不是由键、`=` 和值组成"),
            TagFault::UnknownZone { name } => format!("未知的时区 `{name}`"),
        }
    }
}

impl Said for StartFailure {
    fn chinese(&self) -> String {
        match self {
            StartFailure::Unsaid => String::new(),
            StartFailure::Fault(fault) => zh(&**fault),
        }
    }
}

impl Said for LastLook {
    fn chinese(&self) -> String {
        match self {
            LastLook::Gone => "已不存在".to_owned(),
            LastLook::Held(hold) => zh(&**hold),
        }
    }
}

impl Said for Clue {
    fn chinese(&self) -> String {
        match self {
            Clue::Usage => "它的使用情况".to_owned(),
            Clue::Attachments => "挂载".to_owned(),
            Clue::Association | Clue::Associations => "绑定".to_owned(),
            Clue::Binding => "绑定对象".to_owned(),
            Clue::Images => "由它制作的镜像".to_owned(),
            Clue::ImagesAndVolume => "镜像、源云盘".to_owned(),
            Clue::DiskAndImages => "它的云盘、镜像".to_owned(),
            Clue::Targets { serving, of } => targets(*serving, *of),
            Clue::Backends => "后端".to_owned(),
            Clue::BackendsServing { serving, of } => format!("在役后端：{serving}/{of}"),
            Clue::ServerGroups => "服务器组".to_owned(),
            Clue::Servers { servers, groups } => {
                format!("{groups} 个服务器组中注册的服务器：{servers}")
            }
        }
    }
}

fn targets(serving: u64, of: u64) -> String {
    format!("在役目标：{serving}/{of}")
}

impl Said for Holder {
    fn chinese(&self) -> String {
        match self {
            Holder::Nothing => "未知对象".to_owned(),
            Holder::Resource(id) => id.clone(),
            Holder::Attachment => "某个挂载".to_owned(),
            Holder::Image => "某个镜像".to_owned(),
            Holder::State(state) => format!("状态 {state}"),
            Holder::Backends(count) => format!("{count} 个后端"),
            Holder::Targets { serving, of } => targets(*serving, *of),
        }
    }
}

impl Said for RoleSign {
    fn chinese(&self) -> String {
        match self {
            RoleSign::Tag { key, value } => format!("标签 `{key}={value}`"),
            RoleSign::Name(name) => format!("名称 `{name}`"),
            RoleSign::StandbyOf(id) => format!("{id} 的备机"),
            RoleSign::ReplicaOf(id) => format!("`{id}` 的副本"),
            RoleSign::ReplicaOfCluster(id) => format!("集群 `{id}` 的副本"),
            RoleSign::MemberOfCluster(id) => format!("集群 `{id}` 的成员"),
            RoleSign::SourceOf(ids) => format!("副本 `{}` 的源", ids.join("`、`")),
        }
    }
}

impl Said for Protection {
    fn chinese(&self) -> String {
        let protection = match self {
            Protection::Stop => "停机保护",
            Protection::Termination => "释放保护",
        };
        protection.to_owned()
    }
}

impl Said for FactName {
    fn chinese(&self) -> String {
        let name = match self {
            FactName::ScalingGroup => "伸缩组",
            FactName::TargetGroups => "目标组",
            FactName::LocalDisks => "本地盘",
            FactName::Accelerators => "加速器",
            FactName::Forwarding => "流量转发",
            FactName::Purchase => "付费方式",
            FactName::StopProtection => "停机保护",
            FactName::TerminationProtection => "释放保护",
            FactName::Alarms => "告警",
            FactName::Replica => "副本",
            FactName::Billing => "计费",
            FactName::Hibernation => "休眠",
            FactName::PublicAddress => "公网地址",
            FactName::BurstCredits => "CPU 积分",
            FactName::DiskKeys => "磁盘密钥",
        };
        name.to_owned()
    }
}

impl Said for UnknownFact {
    fn chinese(&self) -> String {
        let why = self.fault.as_ref().map_or_else(|| "尚未读取".to_owned(), |fault| zh(&**fault));
        format!("{}：{why}", zh(&self.fact))
    }
}

impl Said for NoSaving {
    fn chinese(&self) -> String {
        let why = match self {
            NoSaving::Subscription => "包年包月",
            NoSaving::DedicatedHost => "专有宿主机",
            NoSaving::OnDedicatedHost => "位于专有宿主机",
            NoSaving::InReservation => "位于容量预留",
            NoSaving::NotInVpc => "不在 VPC 中",
            NoSaving::LocalDisks => "本地盘",
            NoSaving::RootInStore => "系统盘为实例存储，无法停机",
        };
        why.to_owned()
    }
}

impl Said for StillPaid {
    fn chinese(&self) -> String {
        match self {
            StillPaid::Disks => "云盘".to_owned(),
            StillPaid::ElasticAddress => "弹性公网地址".to_owned(),
            StillPaid::Backups => "备份".to_owned(),
            StillPaid::All(why) => format!("全部：{}", zh(why)),
        }
    }
}

impl Said for PriceSource {
    fn chinese(&self) -> String {
        let source = match self {
            PriceSource::Simulated => "模拟云",
            PriceSource::AwsPriceList => "AWS 价目表",
            PriceSource::AlibabaApi => "ecs:DescribePrice",
            PriceSource::File(name) => name,
            PriceSource::AwsSpot => "AWS 竞价实例价格",
            PriceSource::AlibabaSpot => "ecs:DescribePrice（抢占式实例）",
        };
        source.to_owned()
    }
}
