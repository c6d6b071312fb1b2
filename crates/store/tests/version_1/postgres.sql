CREATE TABLE "users" (
    "id" BYTEA NOT NULL PRIMARY KEY,
    "email" TEXT COLLATE "C" NOT NULL,
    "created_on" BIGINT NOT NULL,
    "api_key_hash" BYTEA,
    "digest" BIGINT
);
CREATE TABLE "accounts" (
    "id" BYTEA NOT NULL PRIMARY KEY,
    "name" TEXT COLLATE "C" NOT NULL,
    "folded_name" TEXT COLLATE "C" NOT NULL,
    "authority_algorithm" TEXT COLLATE "C" NOT NULL,
    "managed_authority" BIGINT,
    "created_on" BIGINT NOT NULL,
    "deleted_at" BIGINT,
    "digest" BIGINT
);
CREATE UNIQUE INDEX "accounts_by_name" ON "accounts" ("folded_name") WHERE deleted_at IS NULL;
CREATE TABLE "authorities" (
    "number" BIGINT NOT NULL PRIMARY KEY,
    "id" BYTEA NOT NULL UNIQUE,
    "account" BYTEA NOT NULL REFERENCES "accounts" ("id"),
    "name" TEXT COLLATE "C" NOT NULL,
    "algorithm" TEXT COLLATE "C" NOT NULL,
    "certificate_der" BYTEA NOT NULL,
    "sealed_key" BYTEA NOT NULL,
    "public_url" TEXT COLLATE "C" NOT NULL,
    "created_on" BIGINT NOT NULL,
    "expires_on" BIGINT NOT NULL,
    "has_signed" BOOLEAN NOT NULL,
    "retired" BOOLEAN NOT NULL,
    "last_epoch" BIGINT NOT NULL,
    "digest" BIGINT
);
CREATE INDEX "authorities_by_account" ON "authorities" ("account");
CREATE INDEX "authorities_by_last_epoch" ON "authorities" ("last_epoch");
CREATE TABLE "zones" (
    "number" BIGINT NOT NULL PRIMARY KEY CHECK ("number" BETWEEN 1 AND 134217727),
    "id" BYTEA NOT NULL UNIQUE,
    "name" TEXT COLLATE "C" NOT NULL,
    "folded_name" TEXT COLLATE "C" NOT NULL,
    "reversed_name" TEXT COLLATE "C" NOT NULL,
    "account" BYTEA NOT NULL REFERENCES "accounts" ("id"),
    "created_on" BIGINT NOT NULL,
    "modified_on" BIGINT NOT NULL,
    "deleted_at" BIGINT,
    "digest" BIGINT
);
CREATE UNIQUE INDEX "zones_by_name" ON "zones" ("folded_name") WHERE deleted_at IS NULL;
CREATE INDEX "zones_by_reversed_name" ON "zones" ("reversed_name") WHERE deleted_at IS NULL;
CREATE INDEX "zones_by_account" ON "zones" ("account") WHERE deleted_at IS NULL;
CREATE TABLE "tokens" (
    "id" BYTEA NOT NULL PRIMARY KEY,
    "user" BYTEA NOT NULL REFERENCES "users" ("id"),
    "name" TEXT COLLATE "C" NOT NULL,
    "hash" BYTEA NOT NULL UNIQUE,
    "state" TEXT COLLATE "C" NOT NULL,
    "policies" TEXT COLLATE "C" NOT NULL,
    "allowed_addresses" TEXT COLLATE "C" NOT NULL,
    "refused_addresses" TEXT COLLATE "C" NOT NULL,
    "not_before" BIGINT,
    "expires_on" BIGINT,
    "issued_on" BIGINT NOT NULL,
    "modified_on" BIGINT NOT NULL,
    "last_used_on" BIGINT,
    "digest" BIGINT
);
CREATE INDEX "tokens_by_age" ON "tokens" ("issued_on", "id");
CREATE TABLE "mtls_certificates" (
    "id" BYTEA NOT NULL PRIMARY KEY,
    "account" BYTEA NOT NULL REFERENCES "accounts" ("id"),
    "name" TEXT COLLATE "C" NOT NULL,
    "ca" BOOLEAN NOT NULL,
    "issuer" TEXT COLLATE "C" NOT NULL,
    "signature" TEXT COLLATE "C" NOT NULL,
    "serial_number" TEXT COLLATE "C" NOT NULL,
    "certificates" TEXT COLLATE "C" NOT NULL,
    "fingerprint_sha256" BYTEA NOT NULL,
    "sealed_key" BYTEA,
    "uploaded_on" BIGINT NOT NULL,
    "expires_on" BIGINT NOT NULL,
    "digest" BIGINT
);
CREATE UNIQUE INDEX "mtls_certificates_by_fingerprint" ON "mtls_certificates" ("account", "fingerprint_sha256");
CREATE TABLE "hostname_associations" (
    "zone" BIGINT NOT NULL REFERENCES "zones" ("number"),
    "mtls_certificate" BYTEA NOT NULL,
    "place" BIGINT NOT NULL,
    "hostname" TEXT COLLATE "C" NOT NULL,
    "folded_hostname" TEXT COLLATE "C" NOT NULL,
    "deployment" BIGINT NOT NULL,
    "digest" BIGINT,
    PRIMARY KEY ("zone", "mtls_certificate", "place")
);
CREATE INDEX "hostname_associations_by_hostname" ON "hostname_associations" ("folded_hostname", "deployment");
CREATE INDEX "hostname_associations_by_mtls_certificate" ON "hostname_associations" ("mtls_certificate");
CREATE TABLE "certificates" (
    "position" BIGINT NOT NULL PRIMARY KEY,
    "id" BYTEA NOT NULL,
    "authority" BIGINT NOT NULL REFERENCES "authorities" ("number"),
    "serial" BYTEA NOT NULL,
    "common_name" TEXT COLLATE "C" NOT NULL,
    "country" TEXT COLLATE "C" NOT NULL,
    "state" TEXT COLLATE "C" NOT NULL,
    "location" TEXT COLLATE "C" NOT NULL,
    "organization" TEXT COLLATE "C" NOT NULL,
    "organizational_unit" TEXT COLLATE "C" NOT NULL,
    "issued_on" BIGINT NOT NULL,
    "expires_on" BIGINT NOT NULL,
    "validity_days" BIGINT NOT NULL,
    "signature" TEXT COLLATE "C" NOT NULL,
    "fingerprint_sha256" BYTEA NOT NULL,
    "ski" BYTEA NOT NULL,
    "der" BYTEA NOT NULL,
    "csr" TEXT COLLATE "C" NOT NULL,
    "digest" BIGINT
);
CREATE UNIQUE INDEX "certificates_by_id" ON "certificates" ("id");
CREATE TABLE "statuses" (
    "position" BIGINT NOT NULL PRIMARY KEY,
    "authority" BIGINT NOT NULL,
    "status" SMALLINT NOT NULL CHECK ("status" BETWEEN 0 AND 3),
    "epoch" BIGINT,
    "revoked_on" BIGINT,
    "reason" SMALLINT
);
CREATE INDEX "statuses_by_status" ON "statuses" ("status", "position");
CREATE INDEX "statuses_pending" ON "statuses" ("authority", "epoch") WHERE status IN (1, 2);
CREATE INDEX "statuses_by_epoch" ON "statuses" ("authority", "epoch") WHERE epoch IS NOT NULL;
CREATE TABLE "blocks" (
    "block" BIGINT NOT NULL PRIMARY KEY,
    "active" BIGINT NOT NULL CHECK ("active" >= 0),
    "pending_reactivation" BIGINT NOT NULL CHECK ("pending_reactivation" >= 0),
    "pending_revocation" BIGINT NOT NULL CHECK ("pending_revocation" >= 0),
    "revoked" BIGINT NOT NULL CHECK ("revoked" >= 0)
);
CREATE TABLE "upper_blocks" (
    "block" BIGINT NOT NULL PRIMARY KEY,
    "active" BIGINT NOT NULL CHECK ("active" >= 0),
    "pending_reactivation" BIGINT NOT NULL CHECK ("pending_reactivation" >= 0),
    "pending_revocation" BIGINT NOT NULL CHECK ("pending_revocation" >= 0),
    "revoked" BIGINT NOT NULL CHECK ("revoked" >= 0)
);
CREATE TABLE "lost_certificates" (
    "position" BIGINT NOT NULL PRIMARY KEY CHECK ("position" < 0),
    "id" BYTEA NOT NULL,
    "authority" BIGINT NOT NULL REFERENCES "authorities" ("number"),
    "serial" BYTEA NOT NULL UNIQUE,
    "fingerprint_sha256" BYTEA NOT NULL,
    "epoch" BIGINT NOT NULL,
    "revoked_on" BIGINT NOT NULL,
    "reason" SMALLINT NOT NULL,
    "expires_on" BIGINT NOT NULL,
    "digest" BIGINT
);
CREATE INDEX "lost_certificates_by_epoch" ON "lost_certificates" ("authority", "epoch");
CREATE TABLE "revocations" (
    "authority" BIGINT NOT NULL REFERENCES "authorities" ("number"),
    "shard" SMALLINT NOT NULL CHECK ("shard" BETWEEN 0 AND 127),
    "expires_on" BIGINT NOT NULL,
    "position" BIGINT NOT NULL,
    "serial" BYTEA NOT NULL,
    "revoked_on" BIGINT NOT NULL,
    "reason" SMALLINT NOT NULL,
    PRIMARY KEY ("authority", "shard", "expires_on", "position")
);
CREATE TABLE "crl_states" (
    "authority" BIGINT NOT NULL REFERENCES "authorities" ("number"),
    "kind" SMALLINT NOT NULL CHECK ("kind" BETWEEN 0 AND 129),
    "changed_epoch" BIGINT NOT NULL,
    "made_epoch" BIGINT NOT NULL,
    "number" BIGINT NOT NULL,
    "this_update" BIGINT NOT NULL,
    "next_update" BIGINT NOT NULL,
    "renew_on" BIGINT NOT NULL,
    PRIMARY KEY ("authority", "kind")
);
CREATE INDEX "crl_states_changed" ON "crl_states" ("authority", "kind") WHERE changed_epoch > made_epoch;
CREATE INDEX "crl_states_by_renewal" ON "crl_states" ("renew_on");
CREATE TABLE "crls" (
    "authority" BIGINT NOT NULL REFERENCES "authorities" ("number"),
    "kind" SMALLINT NOT NULL,
    "der" BYTEA NOT NULL,
    PRIMARY KEY ("authority", "kind")
);
CREATE TABLE "enforcement_points" (
    "id" BYTEA NOT NULL PRIMARY KEY,
    "account" BYTEA NOT NULL REFERENCES "accounts" ("id"),
    "token" BYTEA NOT NULL,
    "name" TEXT COLLATE "C" NOT NULL,
    "lease_seconds" BIGINT NOT NULL,
    "acknowledged_epoch" BIGINT NOT NULL,
    "seen_on" BIGINT NOT NULL,
    "live_until" BIGINT NOT NULL,
    "registered_on" BIGINT NOT NULL
);
CREATE UNIQUE INDEX "enforcement_points_by_name" ON "enforcement_points" ("account", "name");
CREATE INDEX "enforcement_points_by_lease" ON "enforcement_points" ("live_until");
CREATE TABLE "epoch_gaps" (
    "after" BIGINT NOT NULL PRIMARY KEY,
    "until" BIGINT NOT NULL,
    "is_all" BOOLEAN NOT NULL,
    "digest" BIGINT
);
CREATE TABLE "audit_chains" (
    "number" BIGINT NOT NULL PRIMARY KEY,
    "owner" BYTEA NOT NULL UNIQUE,
    "is_user" BOOLEAN NOT NULL,
    "entries" BIGINT NOT NULL,
    "last_at" BIGINT NOT NULL,
    "head" BYTEA NOT NULL
);
CREATE TABLE "audit_entries" (
    "chain" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "number" BIGINT NOT NULL,
    "actor_kind" SMALLINT NOT NULL,
    "actor" BYTEA,
    "address" TEXT COLLATE "C",
    "action" SMALLINT NOT NULL,
    "resource_type" SMALLINT NOT NULL,
    "resource" BYTEA NOT NULL,
    "zone" BYTEA,
    "fingerprint_sha256" BYTEA,
    "detail" TEXT COLLATE "C" NOT NULL,
    "hash" BYTEA NOT NULL,
    PRIMARY KEY ("chain", "at", "number")
);
CREATE INDEX "audit_entries_by_actor" ON "audit_entries" ("chain", "actor", "actor_kind", "at", "number");
CREATE TABLE "leases" (
    "job" TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    "holder" BYTEA NOT NULL,
    "until" BIGINT NOT NULL
);
CREATE TABLE "writers" (
    "id" TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    "batch" BIGINT NOT NULL,
    "at" BIGINT NOT NULL
);
CREATE TABLE "store" (
    "only" SMALLINT NOT NULL PRIMARY KEY CHECK ("only" BETWEEN 1 AND 1),
    "block_bits" BIGINT NOT NULL,
    "upper_block_bits" BIGINT NOT NULL,
    "last_epoch" BIGINT NOT NULL,
    "last_deployment" BIGINT NOT NULL,
    "restored" BOOLEAN NOT NULL,
    "probes" BIGINT NOT NULL
);
CREATE TABLE "installation" (
    "only" SMALLINT NOT NULL PRIMARY KEY CHECK ("only" BETWEEN 1 AND 1),
    "master_key_check" BYTEA NOT NULL,
    "created_on" BIGINT NOT NULL,
    "sealed_serial_key" BYTEA
);
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_managed_authority" FOREIGN KEY ("managed_authority") REFERENCES "authorities" ("number");
