//! Whole-program tests. They are one program, because linking the adapters and the daemon takes most
//! of the time of a small one.

mod accounts;
mod alibaba_contract;
mod alibaba_credentials;
mod alibaba_estate;
mod alibaba_faults;
mod alibaba_official;
mod alibaba_peer;
mod alibaba_usage;
mod aws_contract;
mod aws_estate;
mod browser;
mod chinese;
mod documents;
mod events;
mod explain;
mod faults;
mod foreseen;
mod idle_day;
mod kills;
mod monitoring;
mod nights;
mod offhours;
mod page;
mod peers;
mod prometheus;
mod promotion;
mod rule_promotion;
mod service;
mod signals;
mod taken_over;
mod the_day;
mod tidy;
mod traces;
mod tune;
mod two_clouds;
