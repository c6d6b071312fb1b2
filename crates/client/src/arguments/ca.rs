//! The command line of `certgate ca …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{AccountArgs, KeyName};

/// `certgate ca …`
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// List the CAs of an account: managed and uploaded
    List {
        /// The account.
        #[command(flatten)]
        account: AccountArgs,
    },
    /// Show the managed CA that signs new certificates, or another CA
    Show {
        /// Name or ID of the CA [default: the CA that signs new certificates]
        #[arg(value_name = "NAME|ID")]
        ca: Option<String>,
        /// The account.
        #[command(flatten)]
        account: AccountArgs,
    },
    /// Print the certificate of a CA, or with --bundle those of all CAs that a proxy must trust
    Export(CaExportArgs),
    /// Create a CA that does not sign yet, so that every proxy trusts it before it signs
    Prepare(CaPrepareArgs),
    /// Sign new certificates with a prepared CA, or with an earlier one again
    Activate(CaStateArgs),
    /// Stop to trust a CA that does not sign any more
    Retire(CaStateArgs),
    /// Prepare a new CA and activate it, after a confirmation. Certificates issued before stay
    /// valid and revocable
    Rotate(CaRotateArgs),
    /// Create a key on the server and print a request for the certificate of a CA, which another CA
    /// signs, such as an offline root
    Csr(CaPrepareArgs),
    /// Import a CA: the signed certificate of `ca csr`, or an existing CA with its key
    Import(CaImportArgs),
    /// Upload a CA of your own whose client certificates to accept, or a client certificate with
    /// --leaf
    Add(CaAddArgs),
    /// Remove an uploaded CA or client certificate, or a request of `ca csr`
    Remove {
        /// Name or ID of the CA, client certificate or request
        #[arg(value_name = "NAME|ID")]
        ca: String,
        /// The account.
        #[command(flatten)]
        account: AccountArgs,
    },
}

/// `certgate ca prepare` and `certgate ca csr`
#[derive(Debug, Args)]
pub struct CaPrepareArgs {
    /// Algorithm of the new key [default: the account's]
    #[arg(long, value_enum, value_name = "ALGORITHM")]
    pub algorithm: Option<KeyName>,
    /// Name of the CA
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `certgate ca activate` and `certgate ca retire`
#[derive(Debug, Args)]
pub struct CaStateArgs {
    /// Name or ID of the CA
    #[arg(value_name = "NAME|ID")]
    pub ca: String,
    /// Do it even if clients could be rejected
    #[arg(long)]
    pub anyway: bool,
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `certgate ca rotate`
#[derive(Debug, Args)]
pub struct CaRotateArgs {
    /// The new CA.
    #[command(flatten)]
    pub new: CaPrepareArgs,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Activate it even if an enforcement point has not acknowledged it
    #[arg(long)]
    pub anyway: bool,
}

/// `certgate ca export`
#[derive(Debug, Args)]
pub struct CaExportArgs {
    /// Name or ID of the CA [default: the CA that signs new certificates]
    #[arg(value_name = "NAME|ID", conflicts_with = "bundle")]
    pub ca: Option<String>,
    /// The managed CAs that a proxy must trust: prepared, active and superseded
    #[arg(long)]
    pub bundle: bool,
    /// With --bundle: the CAs whose certificates this hostname accepts, uploaded ones too
    #[arg(long, value_name = "HOSTNAME", requires = "bundle")]
    pub hostname: Option<String>,
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `certgate ca add`
#[derive(Debug, Args)]
pub struct CaAddArgs {
    /// PEM file with the certificate or a chain, - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// PEM file with the private key of the first certificate, not encrypted
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// Name of the CA
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// The certificate is a CA (the default)
    #[arg(long, conflicts_with = "leaf")]
    pub ca: bool,
    /// The certificate is a client's, not a CA
    #[arg(long)]
    pub leaf: bool,
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `certgate ca import`
#[derive(Debug, Args)]
pub struct CaImportArgs {
    /// PEM file with the CA's certificate
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub certificate: PathBuf,
    /// PEM file with the CA's private key, not encrypted (PKCS #8, SEC 1 or PKCS #1), - for
    /// standard input [default: the key of `ca csr`]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// Name of the CA [default: the common name of its certificate]
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Only prepare the CA: `ca activate` lets it sign. With the key of `ca csr` this is always so
    #[arg(long)]
    pub prepare: bool,
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
}
