use certgate_model::PermissionGroup;

/// A permission as a type. A scope that names it in a signature proves it.
pub trait Permission: Send + Sync + 'static {
    /// The permission group that the caller needs.
    const GROUP: PermissionGroup;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $group:ident;)+) => {$(
        $(#[$doc])*
        pub struct $name;
        impl Permission for $name {
            const GROUP: PermissionGroup = PermissionGroup::$group;
        }
    )+};
}
permissions! {
    /// List and get client certificates.
    ReadCertificates = ClientCertificatesRead;
    /// Issue client certificates.
    IssueCertificates = ClientCertificatesIssue;
    /// Revoke client certificates.
    RevokeCertificates = ClientCertificatesRevoke;
    /// Restore client certificates.
    RestoreCertificates = ClientCertificatesRestore;
    /// Record client certificates that were issued elsewhere.
    AdoptForeign = SslAndCertificatesWrite;
    /// Get the hostnames that require client certificates.
    ReadHostnames = SslAndCertificatesRead;
    /// Replace the hostnames of a zone.
    WriteHostnames = SslAndCertificatesWrite;
    /// List and get zones.
    ReadZones = ZoneRead;
    /// Create and delete zones.
    ManageZones = ZoneWrite;
    /// List and get accounts, and their CAs.
    ReadAccounts = AccountSettingsRead;
    /// Create and delete accounts, and replace their CA.
    ManageAccounts = AccountSettingsWrite;
    /// List and get the uploaded certificates of an account.
    ReadMtlsCertificates = AccountSslAndCertificatesRead;
    /// Upload and delete certificates of an account.
    WriteMtlsCertificates = AccountSslAndCertificatesWrite;
    /// List and get the tokens of an account.
    ReadAccountTokens = AccountApiTokensRead;
    /// Create, change and delete tokens of an account.
    ManageAccountTokens = AccountApiTokensWrite;
    /// List and get tokens.
    ReadTokens = ApiTokensRead;
    /// Create, change and delete tokens.
    ManageTokens = ApiTokensWrite;
    /// Read revocations, and the enforcement points.
    FollowRevocations = EnforcementPointsRead;
    /// Register and delete enforcement points, and acknowledge changes for them.
    ManageEnforcementPoints = EnforcementPointsWrite;
    /// Get the user.
    ReadUser = UserDetailsRead;
    /// Change the user.
    ManageUser = UserDetailsWrite;
}
