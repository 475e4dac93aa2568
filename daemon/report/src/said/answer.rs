//! What people who ask for something are told.

use planner::answer::{ActsOnce, AskedFor, NotTaken};

use super::{Said, zh};

impl Said for AskedFor {
    fn chinese(&self) -> String {
        let named = |what: &str, once: &Option<ActsOnce>| {
            let once = once.as_ref().map(zh);
            format!("{what}{}", once.unwrap_or_default())
        };
        match self {
            AskedFor::Service { name, once } => named(&format!("服务 `{name}`"), once),
            AskedFor::Rule { name, once } => named(&format!("规则 `{name}`"), once),
            AskedFor::Resource(id) => id.to_string(),
            AskedFor::Everything { services, rules } => {
                format!("{services} 个服务，{rules} 条规则")
            }
            AskedFor::Unwritten { about, fault } => {
                format!("{}（未写入日志：{fault}）", zh(&**about))
            }
        }
    }
}

impl Said for ActsOnce {
    fn chinese(&self) -> String {
        let whose = match self {
            ActsOnce::Own => "它的",
            ActsOnce::Global => "全局的",
        };
        format!("（{whose} `mode` 设为 `act` 后才执行）")
    }
}

impl Said for NotTaken {
    fn chinese(&self) -> String {
        match self {
            NotTaken::NoRequest { error } => format!("无法解读的请求：{error}"),
            NotTaken::NoRight { name, group } => format!("{name} 不在组 `{group}` 中"),
            NotTaken::Ending => "守护进程正在退出".to_owned(),
            NotTaken::Slow => "观察耗时过长，请重试".to_owned(),
            NotTaken::NotWritten { fault } => format!("无法写入日志：{fault}"),
            NotTaken::Passed { until } => format!("{until} 已过，应为将来的时间"),
            NotTaken::NoRule { rule } => format!("没有规则 `{rule}`：`neap idle` 列出规则"),
            NotTaken::NoApproval { id } => {
                format!("没有等待审批的 `{id}`：情况可能已变；`neap idle` 显示等待的内容")
            }
            NotTaken::ApprovalVoid { id } => {
                format!("审批 `{id}` 已失效：它的规则或排程已变；`neap idle` 显示等待的内容")
            }
            NotTaken::NoResource { name } => format!("上次观察时没有资源 `{name}`"),
            NotTaken::Ambiguous { name, count } => {
                format!("`{name}` 是 {count} 个资源的名称：请用其中一个的编号")
            }
            NotTaken::Unknown { name, known } => {
                format!("没有服务或规则 `{name}`；现有 {}", known.join("、"))
            }
            NotTaken::CanaryOfRule { name } => format!("`{name}` 是规则，金丝雀只用于服务"),
            NotTaken::UngatedService { name } => {
                format!("`{name}` 不需要晋级：只由它的 `mode` 决定")
            }
            NotTaken::NoDoubt { name: Some(name) } => {
                format!("`{name}` 的需求没有存疑，无需确认")
            }
            NotTaken::NoDoubt { name: None } => "没有任何服务的需求存疑，无需确认".to_owned(),
            NotTaken::UngatedRule { name } => {
                format!("规则 `{name}` 不需要晋级：只由它的 `mode` 决定")
            }
            NotTaken::OfferOlder { id } => {
                format!("晋级方案 `{id}` 已失效：它由旧版本提出；`neap promote` 显示现有方案")
            }
            NotTaken::OfferVoid { id } => format!(
                "晋级方案 `{id}` 已失效：配置、阶段或成绩单的日期已变；`neap promote` 显示现有方案"
            ),
            NotTaken::ThereAlready { name, stage } => {
                format!("`{name}` 已处于该阶段：{}", zh(stage))
            }
            NotTaken::GateNotMet { missing } => {
                let missing: Vec<String> = missing.iter().map(zh).collect();
                format!("未达门槛：{}；`--anyway` 仍可晋级，并会记录下来", missing.join("；"))
            }
        }
    }
}
