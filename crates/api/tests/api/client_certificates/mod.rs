//! `/zones/{zone_id}/client_certificates`

mod adopt;
mod bad_input;
mod create;
mod history;
mod life_cycle;
mod list;
mod repeated;
mod search;
mod summary;
