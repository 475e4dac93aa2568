//! The forecaster from outside: bad input, calendars, and what holds for any series.

mod bad_input;
mod calendar;
mod properties;
