//! A real Prometheus as the source of demand: what it answers, how one comes to it, and a service
//! that is driven by it.

mod adapter;
mod doors;
mod drives;
mod reached;
