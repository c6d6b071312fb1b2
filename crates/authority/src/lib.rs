//! The rules: who may do what, issue, revoke, reactivate and settle.
