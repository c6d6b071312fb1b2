INSERT INTO "zones" ("number", "id", "name", "folded_name", "reversed_name", "account",
    "created_on", "modified_on") VALUES
    (2, octets16(2), 'example.net', 'example.net', 'net.example', :account, 1790000040000000,
    1790000040000000);
INSERT INTO "authorities" ("number", "id", "account", "name", "algorithm", "certificate_der",
    "sealed_key", "public_url", "created_on", "expires_on", "has_signed", "retired", "last_epoch")
VALUES (1, octets16(1), :account, 'CA', 'P-256', octets16(1), octets16(1), 'http://pki.example',
    1790000040000000, 2090000040000000, :true, :false, 0);
UPDATE "accounts" SET "managed_authority" = 1;
INSERT INTO "crl_states" ("authority", "kind", "changed_epoch", "made_epoch", "number",
    "this_update", "next_update", "renew_on")
WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < 129)
SELECT 1, i, 0, -1, 0, 0, 0, 0 FROM numbers;
CREATE TABLE "numbers" AS
WITH RECURSIVE numbers (i) AS
    (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM numbers WHERE i < 3999)
SELECT i, CASE WHEN i < 3000 THEN 68719476736 + i ELSE 137438953472 + i - 3000 END AS place,
    1790000040000000 + i / 100 * 86400000000 AS at,
    CASE i % 10 WHEN 3 THEN 3 WHEN 4 THEN 2 WHEN 5 THEN 1 ELSE 0 END AS code
FROM numbers;
INSERT INTO "certificates" ("position", "id", "authority", "serial", "common_name", "country",
    "state", "location", "organization", "organizational_unit", "issued_on", "expires_on",
    "validity_days", "signature", "fingerprint_sha256", "ski", "der", "csr")
SELECT place, octets16(i), 1, octets20(i),
    CASE i % 500 WHEN 7 THEN 'GERÄT-' || i WHEN 8 THEN ':long' || i ELSE 'Laptop-' || i END,
    '', '', '', '', '', at, at + 31536000000000, 365, 'ECDSAWithSHA256', octets32(i), octets20(i),
    octets16(i), 'CSR'
FROM "numbers";
INSERT INTO "statuses" ("position", "authority", "status", "epoch", "revoked_on", "reason")
SELECT place, 1, code, CASE WHEN code > 0 THEN i END, CASE WHEN code > 1 THEN at END,
    CASE WHEN code > 1 THEN 6 END FROM "numbers";
INSERT INTO "revocations" ("authority", "shard", "expires_on", "position", "serial", "revoked_on",
    "reason")
SELECT 1, i % 128, at + 31536000000000, place, octets20(i), at, 6 FROM "numbers" WHERE code > 1;
INSERT INTO "blocks" ("block", "active", "pending_reactivation", "pending_revocation", "revoked")
SELECT place >> 9, sum(CASE code WHEN 0 THEN 1 ELSE 0 END), sum(CASE code WHEN 1 THEN 1 ELSE 0 END),
    sum(CASE code WHEN 2 THEN 1 ELSE 0 END), sum(CASE code WHEN 3 THEN 1 ELSE 0 END)
FROM "numbers" GROUP BY place >> 9;
INSERT INTO "upper_blocks" ("block", "active", "pending_reactivation", "pending_revocation",
    "revoked")
SELECT place >> 18, sum(CASE code WHEN 0 THEN 1 ELSE 0 END),
    sum(CASE code WHEN 1 THEN 1 ELSE 0 END), sum(CASE code WHEN 2 THEN 1 ELSE 0 END),
    sum(CASE code WHEN 3 THEN 1 ELSE 0 END)
FROM "numbers" GROUP BY place >> 18;
UPDATE "authorities" SET "last_epoch" = (SELECT max("epoch") FROM "statuses");
UPDATE "store" SET "last_epoch" = (SELECT max("epoch") FROM "statuses");
DROP TABLE "numbers";
