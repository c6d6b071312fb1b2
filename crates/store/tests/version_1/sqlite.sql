CREATE TABLE "users" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "email" TEXT NOT NULL,
    "created_on" INTEGER NOT NULL,
    "api_key_hash" BLOB,
    "digest" INTEGER
);
CREATE TABLE "accounts" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "folded_name" TEXT NOT NULL,
    "authority_algorithm" TEXT NOT NULL,
    "managed_authority" INTEGER REFERENCES "authorities" ("number"),
    "created_on" INTEGER NOT NULL,
    "deleted_at" INTEGER,
    "digest" INTEGER
);
CREATE UNIQUE INDEX "accounts_by_name" ON "accounts" ("folded_name") WHERE deleted_at IS NULL;
CREATE TABLE "authorities" (
    "number" INTEGER NOT NULL PRIMARY KEY,
    "id" BLOB NOT NULL UNIQUE,
    "account" BLOB NOT NULL REFERENCES "accounts" ("id"),
    "name" TEXT NOT NULL,
    "algorithm" TEXT NOT NULL,
    "certificate_der" BLOB NOT NULL,
    "sealed_key" BLOB NOT NULL,
    "public_url" TEXT NOT NULL,
    "created_on" INTEGER NOT NULL,
    "expires_on" INTEGER NOT NULL,
    "has_signed" INTEGER NOT NULL CHECK ("has_signed" IN (0, 1)),
    "retired" INTEGER NOT NULL CHECK ("retired" IN (0, 1)),
    "last_epoch" INTEGER NOT NULL,
    "digest" INTEGER
);
CREATE INDEX "authorities_by_account" ON "authorities" ("account");
CREATE INDEX "authorities_by_last_epoch" ON "authorities" ("last_epoch");
CREATE TABLE "zones" (
    "number" INTEGER NOT NULL PRIMARY KEY CHECK ("number" BETWEEN 1 AND 134217727),
    "id" BLOB NOT NULL UNIQUE,
    "name" TEXT NOT NULL,
    "folded_name" TEXT NOT NULL,
    "reversed_name" TEXT NOT NULL,
    "account" BLOB NOT NULL REFERENCES "accounts" ("id"),
    "created_on" INTEGER NOT NULL,
    "modified_on" INTEGER NOT NULL,
    "deleted_at" INTEGER,
    "digest" INTEGER
);
CREATE UNIQUE INDEX "zones_by_name" ON "zones" ("folded_name") WHERE deleted_at IS NULL;
CREATE INDEX "zones_by_reversed_name" ON "zones" ("reversed_name") WHERE deleted_at IS NULL;
CREATE INDEX "zones_by_account" ON "zones" ("account") WHERE deleted_at IS NULL;
CREATE TABLE "tokens" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "user" BLOB NOT NULL REFERENCES "users" ("id"),
    "name" TEXT NOT NULL,
    "hash" BLOB NOT NULL UNIQUE,
    "state" TEXT NOT NULL,
    "policies" TEXT NOT NULL,
    "allowed_addresses" TEXT NOT NULL,
    "refused_addresses" TEXT NOT NULL,
    "not_before" INTEGER,
    "expires_on" INTEGER,
    "issued_on" INTEGER NOT NULL,
    "modified_on" INTEGER NOT NULL,
    "last_used_on" INTEGER,
    "digest" INTEGER
);
CREATE INDEX "tokens_by_age" ON "tokens" ("issued_on", "id");
CREATE TABLE "mtls_certificates" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "account" BLOB NOT NULL REFERENCES "accounts" ("id"),
    "name" TEXT NOT NULL,
    "ca" INTEGER NOT NULL CHECK ("ca" IN (0, 1)),
    "issuer" TEXT NOT NULL,
    "signature" TEXT NOT NULL,
    "serial_number" TEXT NOT NULL,
    "certificates" TEXT NOT NULL,
    "fingerprint_sha256" BLOB NOT NULL,
    "sealed_key" BLOB,
    "uploaded_on" INTEGER NOT NULL,
    "expires_on" INTEGER NOT NULL,
    "digest" INTEGER
);
CREATE UNIQUE INDEX "mtls_certificates_by_fingerprint" ON "mtls_certificates" ("account", "fingerprint_sha256");
CREATE TABLE "hostname_associations" (
    "zone" INTEGER NOT NULL REFERENCES "zones" ("number"),
    "mtls_certificate" BLOB NOT NULL,
    "place" INTEGER NOT NULL,
    "hostname" TEXT NOT NULL,
    "folded_hostname" TEXT NOT NULL,
    "deployment" INTEGER NOT NULL,
    "digest" INTEGER,
    PRIMARY KEY ("zone", "mtls_certificate", "place")
);
CREATE INDEX "hostname_associations_by_hostname" ON "hostname_associations" ("folded_hostname", "deployment");
CREATE INDEX "hostname_associations_by_mtls_certificate" ON "hostname_associations" ("mtls_certificate");
CREATE TABLE "certificates" (
    "position" INTEGER NOT NULL PRIMARY KEY,
    "id" BLOB NOT NULL,
    "authority" INTEGER NOT NULL REFERENCES "authorities" ("number"),
    "serial" BLOB NOT NULL,
    "common_name" TEXT NOT NULL,
    "country" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "location" TEXT NOT NULL,
    "organization" TEXT NOT NULL,
    "organizational_unit" TEXT NOT NULL,
    "issued_on" INTEGER NOT NULL,
    "expires_on" INTEGER NOT NULL,
    "validity_days" INTEGER NOT NULL,
    "signature" TEXT NOT NULL,
    "fingerprint_sha256" BLOB NOT NULL,
    "ski" BLOB NOT NULL,
    "der" BLOB NOT NULL,
    "csr" TEXT NOT NULL,
    "digest" INTEGER
);
CREATE UNIQUE INDEX "certificates_by_id" ON "certificates" ("id");
CREATE TABLE "statuses" (
    "position" INTEGER NOT NULL PRIMARY KEY,
    "authority" INTEGER NOT NULL,
    "status" INTEGER NOT NULL CHECK ("status" BETWEEN 0 AND 3),
    "epoch" INTEGER,
    "revoked_on" INTEGER,
    "reason" INTEGER
);
CREATE INDEX "statuses_by_status" ON "statuses" ("status");
CREATE INDEX "statuses_pending" ON "statuses" ("authority", "epoch") WHERE status IN (1, 2);
CREATE INDEX "statuses_by_epoch" ON "statuses" ("authority", "epoch") WHERE epoch IS NOT NULL;
CREATE TABLE "blocks" (
    "block" INTEGER NOT NULL PRIMARY KEY,
    "active" INTEGER NOT NULL CHECK ("active" >= 0),
    "pending_reactivation" INTEGER NOT NULL CHECK ("pending_reactivation" >= 0),
    "pending_revocation" INTEGER NOT NULL CHECK ("pending_revocation" >= 0),
    "revoked" INTEGER NOT NULL CHECK ("revoked" >= 0)
);
CREATE TABLE "upper_blocks" (
    "block" INTEGER NOT NULL PRIMARY KEY,
    "active" INTEGER NOT NULL CHECK ("active" >= 0),
    "pending_reactivation" INTEGER NOT NULL CHECK ("pending_reactivation" >= 0),
    "pending_revocation" INTEGER NOT NULL CHECK ("pending_revocation" >= 0),
    "revoked" INTEGER NOT NULL CHECK ("revoked" >= 0)
);
CREATE TABLE "lost_certificates" (
    "position" INTEGER NOT NULL PRIMARY KEY CHECK ("position" < 0),
    "id" BLOB NOT NULL,
    "authority" INTEGER NOT NULL REFERENCES "authorities" ("number"),
    "serial" BLOB NOT NULL UNIQUE,
    "fingerprint_sha256" BLOB NOT NULL,
    "epoch" INTEGER NOT NULL,
    "revoked_on" INTEGER NOT NULL,
    "reason" INTEGER NOT NULL,
    "expires_on" INTEGER NOT NULL,
    "digest" INTEGER
);
CREATE INDEX "lost_certificates_by_epoch" ON "lost_certificates" ("authority", "epoch");
CREATE TABLE "revocations" (
    "authority" INTEGER NOT NULL REFERENCES "authorities" ("number"),
    "shard" INTEGER NOT NULL CHECK ("shard" BETWEEN 0 AND 127),
    "expires_on" INTEGER NOT NULL,
    "position" INTEGER NOT NULL,
    "serial" BLOB NOT NULL,
    "revoked_on" INTEGER NOT NULL,
    "reason" INTEGER NOT NULL,
    PRIMARY KEY ("authority", "shard", "expires_on", "position")
) WITHOUT ROWID;
CREATE TABLE "crl_states" (
    "authority" INTEGER NOT NULL REFERENCES "authorities" ("number"),
    "kind" INTEGER NOT NULL CHECK ("kind" BETWEEN 0 AND 129),
    "changed_epoch" INTEGER NOT NULL,
    "made_epoch" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "this_update" INTEGER NOT NULL,
    "next_update" INTEGER NOT NULL,
    "renew_on" INTEGER NOT NULL,
    PRIMARY KEY ("authority", "kind")
) WITHOUT ROWID;
CREATE INDEX "crl_states_changed" ON "crl_states" ("authority", "kind") WHERE changed_epoch > made_epoch;
CREATE INDEX "crl_states_by_renewal" ON "crl_states" ("renew_on");
CREATE TABLE "crls" (
    "authority" INTEGER NOT NULL REFERENCES "authorities" ("number"),
    "kind" INTEGER NOT NULL,
    "der" BLOB NOT NULL,
    PRIMARY KEY ("authority", "kind")
);
CREATE TABLE "enforcement_points" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "account" BLOB NOT NULL REFERENCES "accounts" ("id"),
    "token" BLOB NOT NULL,
    "name" TEXT NOT NULL,
    "lease_seconds" INTEGER NOT NULL,
    "acknowledged_epoch" INTEGER NOT NULL,
    "seen_on" INTEGER NOT NULL,
    "live_until" INTEGER NOT NULL,
    "registered_on" INTEGER NOT NULL
);
CREATE UNIQUE INDEX "enforcement_points_by_name" ON "enforcement_points" ("account", "name");
CREATE INDEX "enforcement_points_by_lease" ON "enforcement_points" ("live_until");
CREATE TABLE "epoch_gaps" (
    "after" INTEGER NOT NULL PRIMARY KEY,
    "until" INTEGER NOT NULL,
    "is_all" INTEGER NOT NULL CHECK ("is_all" IN (0, 1)),
    "digest" INTEGER
);
CREATE TABLE "audit_chains" (
    "number" INTEGER NOT NULL PRIMARY KEY,
    "owner" BLOB NOT NULL UNIQUE,
    "is_user" INTEGER NOT NULL CHECK ("is_user" IN (0, 1)),
    "entries" INTEGER NOT NULL,
    "last_at" INTEGER NOT NULL,
    "head" BLOB NOT NULL
);
CREATE TABLE "audit_entries" (
    "chain" INTEGER NOT NULL,
    "at" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "actor_kind" INTEGER NOT NULL,
    "actor" BLOB,
    "address" TEXT,
    "action" INTEGER NOT NULL,
    "resource_type" INTEGER NOT NULL,
    "resource" BLOB NOT NULL,
    "zone" BLOB,
    "fingerprint_sha256" BLOB,
    "detail" TEXT NOT NULL,
    "hash" BLOB NOT NULL,
    PRIMARY KEY ("chain", "at", "number")
) WITHOUT ROWID;
CREATE INDEX "audit_entries_by_actor" ON "audit_entries" ("chain", "actor", "actor_kind", "at", "number");
CREATE TABLE "leases" (
    "job" TEXT NOT NULL PRIMARY KEY,
    "holder" BLOB NOT NULL,
    "until" INTEGER NOT NULL
);
CREATE TABLE "store" (
    "only" INTEGER NOT NULL PRIMARY KEY CHECK ("only" BETWEEN 1 AND 1),
    "block_bits" INTEGER NOT NULL,
    "upper_block_bits" INTEGER NOT NULL,
    "last_epoch" INTEGER NOT NULL,
    "last_deployment" INTEGER NOT NULL,
    "restored" INTEGER NOT NULL CHECK ("restored" IN (0, 1)),
    "probes" INTEGER NOT NULL
);
CREATE TABLE "installation" (
    "only" INTEGER NOT NULL PRIMARY KEY CHECK ("only" BETWEEN 1 AND 1),
    "master_key_check" BLOB NOT NULL,
    "created_on" INTEGER NOT NULL,
    "sealed_serial_key" BLOB
);
