//! Real peers on the loopback interface: a cloud to talk to, and what stands in its way.

mod alibaba;
mod aws;
mod door;
pub mod http;
mod moto;
mod prometheus;
mod proxy;
mod python;
mod rules;

pub use alibaba::{
    ACCOUNT, Alibaba, KEY, NewBalancer, NewEcs, NewScalingGroup, NewServerGroup, SECRET, keys,
    official_signature, settings,
};
pub use aws::{Aws, NewGroup, Point};
pub use door::{Call, Door, RuleId};
pub use moto::Moto;
pub use prometheus::{NewStore, Prometheus};
pub use proxy::{Proxy, Series};
pub use python::{aliyun, aliyun_as, python, script, witness};
pub use rules::{Fault, Gate, Rule, Then, Times};
