//! The connections of a listener: the places they share, and HTTP on each of them.

mod answer;
mod http;
mod origin;
mod places;
mod stream;

pub use http::Http;
pub use origin::Origin;
pub use places::{Limits, NotFree, Place, Places};
