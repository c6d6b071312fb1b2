//! The version, machine and time of a release.

use std::process::Command;

use anyhow::{Context, Result};

use super::outside::output_of;
use crate::test::workspace::Workspace;

/// A release for the machine that builds it.
pub struct Release {
    pub version: &'static str,
    pub machine: &'static str,
    /// Seconds since the Unix epoch that files in packages have.
    pub epoch: i64,
}

impl Release {
    /// Takes the time from `SOURCE_DATE_EPOCH`, or else from the commit.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        let text = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text,
            Err(_) => {
                let mut git = Command::new("git");
                git.current_dir(&workspace.root);
                output_of(git.args(["log", "-1", "--format=%ct"]))?
            }
        };
        let epoch = text.trim().parse();
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            machine: std::env::consts::ARCH,
            epoch: epoch.context("SOURCE_DATE_EPOCH is not a number of seconds")?,
        })
    }

    /// Returns the name of the folder in the archive.
    pub fn name(&self) -> String {
        format!("certgate-{}", self.version)
    }

    /// Returns the name of a file of this release.
    pub fn file(&self, kind: &str) -> String {
        let Self {
            version, machine, ..
        } = self;
        let separator = if kind == "static" { '-' } else { '.' };
        format!("certgate-{version}-linux-{machine}{separator}{kind}")
    }

    /// Returns the changelog that Debian's tools read: its newest entry has version and time.
    pub fn changelog(&self) -> Result<String> {
        let mut date = Command::new("date");
        date.env("LC_ALL", "C").arg("--utc").arg("--rfc-email");
        let date = output_of(date.arg(format!("--date=@{}", self.epoch)))?;
        Ok(format!(
            "certgate ({}-1) unstable; urgency=medium\n\n  \
             * changelog.gz has the changes of this version.\n\n \
             -- The certgate contributors <certgate@example.com>  {date}",
            self.version
        ))
    }
}
