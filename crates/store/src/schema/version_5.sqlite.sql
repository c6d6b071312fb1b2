-- The search index, and the counters of the summary. The steps here take no time however many
-- certificates there are: a background job indexes and counts those of earlier versions.
ALTER TABLE "certificates" ADD COLUMN "folded_name" TEXT;
CREATE TABLE "authority_counters" (
    "zone" INTEGER NOT NULL,
    "authority" INTEGER NOT NULL,
    "active" INTEGER NOT NULL,
    "pending_reactivation" INTEGER NOT NULL,
    "pending_revocation" INTEGER NOT NULL,
    "revoked" INTEGER NOT NULL,
    PRIMARY KEY ("zone", "authority")
) WITHOUT ROWID;
CREATE TABLE "day_counters" (
    "zone" INTEGER NOT NULL,
    "kind" INTEGER NOT NULL CHECK ("kind" BETWEEN 0 AND 2),
    "day" INTEGER NOT NULL,
    "count" INTEGER NOT NULL,
    PRIMARY KEY ("zone", "kind", "day")
) WITHOUT ROWID;
CREATE TABLE "indexing" (
    "zone" INTEGER NOT NULL PRIMARY KEY,
    "below" INTEGER NOT NULL,
    "counted_below" INTEGER NOT NULL
);
CREATE TABLE "certificate_names" (
    "zone" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    PRIMARY KEY ("zone", "name", "position")
) WITHOUT ROWID;
CREATE TABLE "certificate_fingerprints" (
    "prefix" BLOB NOT NULL,
    "position" INTEGER NOT NULL,
    PRIMARY KEY ("prefix", "position")
) WITHOUT ROWID;
CREATE TABLE "certificate_expiries" (
    "zone" INTEGER NOT NULL,
    "expires_on" INTEGER NOT NULL,
    "position" INTEGER NOT NULL,
    PRIMARY KEY ("zone", "expires_on", "position")
) WITHOUT ROWID;
CREATE TABLE "certificate_issue_dates" (
    "zone" INTEGER NOT NULL,
    "issued_on" INTEGER NOT NULL,
    "position" INTEGER NOT NULL,
    PRIMARY KEY ("zone", "issued_on", "position")
) WITHOUT ROWID;
CREATE TABLE "certificate_authorities" (
    "authority" INTEGER NOT NULL,
    "position" INTEGER NOT NULL,
    PRIMARY KEY ("authority", "position")
) WITHOUT ROWID;
CREATE TABLE "certificate_revocations" (
    "zone" INTEGER NOT NULL,
    "revoked_on" INTEGER NOT NULL,
    "position" INTEGER NOT NULL,
    PRIMARY KEY ("zone", "revoked_on", "position")
) WITHOUT ROWID;
INSERT INTO "indexing" ("zone", "below", "counted_below")
SELECT "zone", "last" + 1, "last" + 1 FROM (
    SELECT "number" AS "zone", (
        SELECT "position" FROM "certificates"
        WHERE "position" >= "number" << 36 AND "position" < ("number" + 1) << 36
        ORDER BY "position" DESC LIMIT 1
    ) AS "last" FROM "zones"
) AS "ends" WHERE "last" IS NOT NULL;
-- The history of certificates.
ALTER TABLE "statuses" ADD COLUMN "settled_on" INTEGER;
CREATE TABLE "certificate_events" (
    "certificate" BLOB NOT NULL,
    "chain" INTEGER NOT NULL,
    "at" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    PRIMARY KEY ("certificate", "chain", "at", "number")
) WITHOUT ROWID;
CREATE TABLE "event_indexing" (
    "chain" INTEGER NOT NULL PRIMARY KEY,
    "at" INTEGER NOT NULL,
    "number" INTEGER NOT NULL
);
INSERT INTO "event_indexing" ("chain", "at", "number")
SELECT "number", 9223372036854775807, 0 FROM "audit_chains" WHERE NOT "is_user";
-- CAs can be prepared and retired, or wait for their certificate. The installation knows its public
-- address.
ALTER TABLE "authorities" ADD COLUMN "state" TEXT;
CREATE TABLE "authority_requests" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "account" BLOB NOT NULL REFERENCES "accounts" ("id"),
    "name" TEXT NOT NULL,
    "algorithm" TEXT NOT NULL,
    "sealed_key" BLOB NOT NULL,
    "csr_der" BLOB NOT NULL,
    "created_on" INTEGER NOT NULL,
    "digest" INTEGER
);
CREATE INDEX "authority_requests_by_account" ON "authority_requests" ("account");
ALTER TABLE "installation" ADD COLUMN "public_url" TEXT;
-- Certificates that an imported CA issued elsewhere are found by their serial number.
CREATE TABLE "adopted_certificates" (
    "serial" BLOB NOT NULL,
    "authority" INTEGER NOT NULL REFERENCES "authorities" ("number"),
    "position" INTEGER NOT NULL REFERENCES "certificates" ("position"),
    PRIMARY KEY ("serial", "authority")
) WITHOUT ROWID;
-- Two CAs can have adopted certificates with the same serial number. SQLite cannot remove the
-- constraint of a column: the table, which is small, is made anew.
CREATE TABLE "lost_certificates_5" (
    "position" INTEGER NOT NULL PRIMARY KEY CHECK ("position" < 0),
    "id" BLOB NOT NULL,
    "authority" INTEGER NOT NULL REFERENCES "authorities" ("number"),
    "serial" BLOB NOT NULL,
    "fingerprint_sha256" BLOB NOT NULL,
    "epoch" INTEGER NOT NULL,
    "revoked_on" INTEGER NOT NULL,
    "reason" INTEGER NOT NULL,
    "expires_on" INTEGER NOT NULL,
    "digest" INTEGER
);
INSERT INTO "lost_certificates_5" SELECT * FROM "lost_certificates";
DROP TABLE "lost_certificates";
ALTER TABLE "lost_certificates_5" RENAME TO "lost_certificates";
CREATE INDEX "lost_certificates_by_epoch" ON "lost_certificates" ("authority", "epoch");
CREATE UNIQUE INDEX "lost_certificates_by_serial" ON "lost_certificates" ("authority", "serial");
-- Limits on the certificates of zones and tokens.
ALTER TABLE "zones" ADD COLUMN "issuance_rules" TEXT;
ALTER TABLE "tokens" ADD COLUMN "issuance_rules" TEXT;
CREATE TABLE "issuance_counters" (
    "owner" BLOB NOT NULL PRIMARY KEY,
    "day" INTEGER NOT NULL,
    "count" INTEGER NOT NULL
);
