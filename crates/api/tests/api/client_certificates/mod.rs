//! `/zones/{zone_id}/client_certificates`

mod bad_input;
mod create;
mod life_cycle;
mod list;
mod repeated;
mod search;
