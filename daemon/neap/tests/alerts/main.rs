//! Alerts on their way to receivers. This is a program of its own: it records everything that its process
//! logs, and tests that nothing of it is a secret or an address.

mod delivery;
mod kinds;
mod receiver;
