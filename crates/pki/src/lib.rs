//! Bytes in, bytes out: certificate signing requests, certificates and the keys that sign them.
