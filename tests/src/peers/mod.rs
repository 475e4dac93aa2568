//! Real peers on the loopback interface: a cloud to talk to, and what stands in its way.

mod aws;
pub mod http;
mod moto;
mod proxy;
mod python;

pub use aws::{Aws, NewGroup, Point};
pub use moto::Moto;
pub use proxy::{Call, Fault, Gate, Proxy, Rule, RuleId, Then, Times};
pub use python::{python, script, witness};
