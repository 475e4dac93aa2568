//! What may be idle in AWS, against a real peer: listed, read, priced, stopped and started.

mod cloud;
mod comebacks;
mod figures;
mod listing;
mod parts;
mod power;
mod trials;
