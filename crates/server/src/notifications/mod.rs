//! The destinations of notifications.

mod document;
mod email;
mod webhook;

use std::sync::Arc;

use certgate_service::{NotifierSettings, Outlet};

use crate::config::{Config, ConfigError};

use self::email::Email;
use self::webhook::Webhook;

/// Makes the destinations that the settings name.
pub fn outlets(config: &Config) -> Result<Vec<Arc<dyn Outlet>>, ConfigError> {
    let mut outlets = Vec::<Arc<dyn Outlet>>::new();
    if let Some(webhook) = &config.notifications.webhook {
        outlets.push(Arc::new(Webhook::new(webhook)?));
    }
    if let Some(email) = &config.notifications.email {
        outlets.push(Arc::new(Email::new(email)?));
    }
    Ok(outlets)
}

/// Returns the rules of notifications.
pub fn settings(config: &Config) -> NotifierSettings {
    NotifierSettings {
        expiring_days: config.notifications.expiring_days,
        retry_seconds: config.notifications.retry_seconds,
    }
}
