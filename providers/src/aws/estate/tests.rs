//! Facts that follow from what the SDK hands over.
