//! The files that a proxy reads. Each appears complete, or stays as it was.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certgate_model::AuthorityId;
use certgate_wire::EnforcedCa;
use serde_json::json;

use super::lists::Lists;

/// The form of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// `ca.pem` and `crl.pem` for nginx.
    Nginx,
    /// The same for HAProxy.
    Haproxy,
    /// The same, and `sds.json`, from which Envoy reads them again by itself.
    EnvoySds,
    /// `<CA ID>.pem` and `<CA ID>.crl` for each CA.
    Separate,
}

impl FileFormat {
    /// The usual time between the end of the command and the moment at which every new handshake
    /// sees the new lists: the command only starts the reload.
    pub const fn settle(self) -> Duration {
        match self {
            // Workers that parse 100,000 entries take 0.8 to 1.2 s.
            Self::Nginx | Self::Haproxy => Duration::from_millis(1_500),
            Self::EnvoySds => Duration::from_millis(500),
            Self::Separate => Duration::ZERO,
        }
    }
}

/// The mode of the files: proxies read them as another user, and they hold no secret.
const MODE: u32 = 0o644;

pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// Makes the directory if necessary.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self {
            // Envoy needs an absolute path.
            directory: directory.canonicalize()?,
        })
    }

    /// Writes the files of these CAs. Returns true if one has changed.
    pub fn write(
        &self,
        format: FileFormat,
        authorities: &[&EnforcedCa<'static>],
        lists: &Lists,
    ) -> io::Result<bool> {
        if format == FileFormat::Separate {
            return self.write_separate(authorities, lists);
        }
        let certificates: String = authorities.iter().map(|ca| chain_of(ca)).collect();
        let crls = authorities.iter().map(|ca| AuthorityId::from(ca.id));
        let crls: String = crls.filter_map(|id| lists.pem(id)).map(ended).collect();
        // The lists come first: a proxy refuses every client of a CA without a list.
        let mut changed = self.write_if_new("crl.pem", crls.as_bytes())?;
        changed |= self.write_if_new("ca.pem", certificates.as_bytes())?;
        if format == FileFormat::EnvoySds {
            changed |= self.write_if_new("sds.json", self.secret().to_string().as_bytes())?;
        }
        Ok(changed)
    }

    fn write_separate(
        &self,
        authorities: &[&EnforcedCa<'static>],
        lists: &Lists,
    ) -> io::Result<bool> {
        let mut changed = false;
        let mut names = Vec::new();
        for ca in authorities {
            if let Some(pem) = lists.pem(AuthorityId::from(ca.id)) {
                names.push(format!("{}.crl", ca.id));
                changed |= self.write_if_new(&format!("{}.crl", ca.id), pem.as_bytes())?;
            }
            names.push(format!("{}.pem", ca.id));
            changed |= self.write_if_new(&format!("{}.pem", ca.id), chain_of(ca).as_bytes())?;
        }
        // A CA that is not trusted any more must not stay.
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let of_ca = name.rsplit_once('.').is_some_and(|(id, end)| {
                matches!(end, "pem" | "crl") && id.parse::<AuthorityId>().is_ok()
            });
            if of_ca && !names.contains(&name) {
                fs::remove_file(self.directory.join(&name))?;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Envoy's secret, which makes it read both files again after each change in the directory.
    fn secret(&self) -> serde_json::Value {
        let file = |name: &str| json!({"filename": self.directory.join(name)});
        json!({"resources": [{
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": "certgate",
            "validation_context": {
                "trusted_ca": file("ca.pem"),
                "crl": file("crl.pem"),
                "watched_directory": {"path": self.directory},
            },
        }]})
    }

    fn write_if_new(&self, name: &str, content: &[u8]) -> io::Result<bool> {
        match fs::read(self.directory.join(name)) {
            Ok(present) if present == content => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.write_one(name, content)?;
        Ok(true)
    }

    /// Writes a file in one step.
    pub fn write_one(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".certgate-partial-")
            .permissions(fs::Permissions::from_mode(MODE))
            .tempfile_in(&self.directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(self.directory.join(name))
            .map_err(|error| error.error)?;
        File::open(&self.directory)?.sync_all()
    }
}

/// The certificate of a CA and its chain. A proxy that receives only the client's certificate
/// builds the path from them.
fn chain_of(ca: &EnforcedCa<'static>) -> String {
    let chain = ca.intermediates.iter().map(|pem| ended(pem));
    [ended(&ca.certificate)].into_iter().chain(chain).collect()
}

fn ended(pem: &str) -> String {
    format!("{}\n", pem.trim_end())
}
