-- The search index, and the counters of the summary. The steps here take no time however many
-- certificates there are: a background job indexes and counts those of earlier versions.
-- Writers of earlier versions take this row first: they end before the tables change.
SELECT "last_epoch" FROM "store" WHERE "only" = 1 FOR UPDATE;
LOCK TABLE "statuses", "certificates", "lost_certificates", "writers" IN ACCESS EXCLUSIVE MODE;
ALTER TABLE "certificates" ADD COLUMN "folded_name" TEXT COLLATE "C";
-- Programs of earlier versions fail to insert here, so that they cannot write any more.
DELETE FROM "writers";
ALTER TABLE "writers" ADD COLUMN "version" BIGINT NOT NULL;
CREATE TABLE "authority_counters" (
    "zone" BIGINT NOT NULL,
    "authority" BIGINT NOT NULL,
    "active" BIGINT NOT NULL,
    "pending_reactivation" BIGINT NOT NULL,
    "pending_revocation" BIGINT NOT NULL,
    "revoked" BIGINT NOT NULL,
    PRIMARY KEY ("zone", "authority")
);
CREATE TABLE "day_counters" (
    "zone" BIGINT NOT NULL,
    "kind" SMALLINT NOT NULL CHECK ("kind" BETWEEN 0 AND 2),
    "day" BIGINT NOT NULL,
    "count" BIGINT NOT NULL,
    PRIMARY KEY ("zone", "kind", "day")
);
CREATE TABLE "indexing" (
    "zone" BIGINT NOT NULL PRIMARY KEY,
    "below" BIGINT NOT NULL,
    "counted_below" BIGINT NOT NULL
);
INSERT INTO "indexing" ("zone", "below", "counted_below")
SELECT "zone", "last" + 1, "last" + 1 FROM (
    SELECT "number" AS "zone", (
        SELECT "position" FROM "certificates"
        WHERE "position" >= "number" << 36 AND "position" < ("number" + 1) << 36
        ORDER BY "position" DESC LIMIT 1
    ) AS "last" FROM "zones"
) AS "ends" WHERE "last" IS NOT NULL;
-- The indexes of a database with certificates are not complete yet.
INSERT INTO "indexing" ("zone", "below", "counted_below")
SELECT 0, 0, 0 WHERE EXISTS (SELECT 1 FROM "certificates");
CREATE VIEW "certificate_names" AS
SELECT "position" >> 36 AS "zone", lower("common_name") AS "name", "position"
FROM "certificates" WHERE "folded_name" IS NULL
UNION ALL SELECT "position" >> 36, "folded_name", "position"
FROM "certificates" WHERE "folded_name" IS NOT NULL;
CREATE VIEW "certificate_fingerprints" AS
SELECT substr("fingerprint_sha256", 1, 8) AS "prefix", "position" FROM "certificates";
CREATE VIEW "certificate_expiries" AS
SELECT "position" >> 36 AS "zone", "expires_on", "position" FROM "certificates";
CREATE VIEW "certificate_issue_dates" AS
SELECT "position" >> 36 AS "zone", "issued_on", "position" FROM "certificates";
CREATE VIEW "certificate_authorities" AS
SELECT "authority", "position" FROM "certificates";
CREATE VIEW "certificate_revocations" AS
SELECT "position" >> 36 AS "zone", "revoked_on", "position"
FROM "statuses" WHERE "revoked_on" IS NOT NULL;
-- The history of certificates.
ALTER TABLE "statuses" ADD COLUMN "settled_on" BIGINT;
CREATE VIEW "certificate_events" AS
SELECT "resource" AS "certificate", "chain", "at", "number" FROM "audit_entries"
WHERE "resource_type" = 0 AND ("action" <> 0 OR get_byte("resource", 6) >> 4 <> 7);
-- CAs can be prepared and retired, or wait for their certificate. The installation knows its public
-- address.
ALTER TABLE "authorities" ADD COLUMN "state" TEXT COLLATE "C";
CREATE TABLE "authority_requests" (
    "id" BYTEA NOT NULL PRIMARY KEY,
    "account" BYTEA NOT NULL REFERENCES "accounts" ("id"),
    "name" TEXT COLLATE "C" NOT NULL,
    "algorithm" TEXT COLLATE "C" NOT NULL,
    "sealed_key" BYTEA NOT NULL,
    "csr_der" BYTEA NOT NULL,
    "created_on" BIGINT NOT NULL,
    "digest" BIGINT
);
CREATE INDEX "authority_requests_by_account" ON "authority_requests" ("account");
ALTER TABLE "installation" ADD COLUMN "public_url" TEXT COLLATE "C";
-- Certificates that an imported CA issued elsewhere are found by their serial number.
CREATE TABLE "adopted_certificates" (
    "serial" BYTEA NOT NULL,
    "authority" BIGINT NOT NULL REFERENCES "authorities" ("number"),
    "position" BIGINT NOT NULL REFERENCES "certificates" ("position"),
    PRIMARY KEY ("serial", "authority")
);
-- Two CAs can have adopted certificates with the same serial number.
ALTER TABLE "lost_certificates" DROP CONSTRAINT "lost_certificates_serial_key";
CREATE UNIQUE INDEX "lost_certificates_by_serial" ON "lost_certificates" ("authority", "serial");
-- Limits on the certificates of zones and tokens.
ALTER TABLE "zones" ADD COLUMN "issuance_rules" TEXT COLLATE "C";
ALTER TABLE "tokens" ADD COLUMN "issuance_rules" TEXT COLLATE "C";
CREATE TABLE "issuance_counters" (
    "owner" BYTEA NOT NULL PRIMARY KEY,
    "day" BIGINT NOT NULL,
    "count" BIGINT NOT NULL
);
