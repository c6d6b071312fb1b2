-- Counters of replaced certificates. A background job counts those of earlier versions.
-- Writers of earlier versions take this row first: they end before the tables change.
SELECT "last_epoch" FROM "store" WHERE "only" = 1 FOR UPDATE;
LOCK TABLE "replacements", "blocks", "upper_blocks", "writers" IN ACCESS EXCLUSIVE MODE;
-- Programs of earlier versions fail to insert here, so that they cannot write any more.
DELETE FROM "writers";
ALTER TABLE "writers" ADD CONSTRAINT "writers_version_check" CHECK ("version" >= 9);
ALTER TABLE "blocks"
    ADD COLUMN "replaced_active" BIGINT NOT NULL DEFAULT 0 CHECK ("replaced_active" >= 0),
    ADD COLUMN "replaced_pending_reactivation"
        BIGINT NOT NULL DEFAULT 0 CHECK ("replaced_pending_reactivation" >= 0),
    ADD COLUMN "replaced_pending_revocation"
        BIGINT NOT NULL DEFAULT 0 CHECK ("replaced_pending_revocation" >= 0),
    ADD COLUMN "replaced_revoked" BIGINT NOT NULL DEFAULT 0 CHECK ("replaced_revoked" >= 0);
ALTER TABLE "upper_blocks"
    ADD COLUMN "replaced_active" BIGINT NOT NULL DEFAULT 0 CHECK ("replaced_active" >= 0),
    ADD COLUMN "replaced_pending_reactivation"
        BIGINT NOT NULL DEFAULT 0 CHECK ("replaced_pending_reactivation" >= 0),
    ADD COLUMN "replaced_pending_revocation"
        BIGINT NOT NULL DEFAULT 0 CHECK ("replaced_pending_revocation" >= 0),
    ADD COLUMN "replaced_revoked" BIGINT NOT NULL DEFAULT 0 CHECK ("replaced_revoked" >= 0);
CREATE TABLE "replacement_counting" (
    "zone" BIGINT NOT NULL PRIMARY KEY,
    "below" BIGINT NOT NULL
);
INSERT INTO "replacement_counting" ("zone", "below")
SELECT "zone", "last" + 1 FROM (
    SELECT "number" AS "zone", (
        SELECT "position" FROM "replacements"
        WHERE "position" >= "number" << 36 AND "position" < ("number" + 1) << 36
        ORDER BY "position" DESC LIMIT 1
    ) AS "last" FROM "zones"
) AS "ends" WHERE "last" IS NOT NULL;
