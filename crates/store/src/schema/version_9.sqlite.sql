-- Counters of replaced certificates. A background job counts those of earlier versions.
ALTER TABLE "blocks" ADD COLUMN "replaced_active"
    INTEGER NOT NULL DEFAULT 0 CHECK ("replaced_active" >= 0);
ALTER TABLE "blocks" ADD COLUMN "replaced_pending_reactivation"
    INTEGER NOT NULL DEFAULT 0 CHECK ("replaced_pending_reactivation" >= 0);
ALTER TABLE "blocks" ADD COLUMN "replaced_pending_revocation"
    INTEGER NOT NULL DEFAULT 0 CHECK ("replaced_pending_revocation" >= 0);
ALTER TABLE "blocks" ADD COLUMN "replaced_revoked"
    INTEGER NOT NULL DEFAULT 0 CHECK ("replaced_revoked" >= 0);
ALTER TABLE "upper_blocks" ADD COLUMN "replaced_active"
    INTEGER NOT NULL DEFAULT 0 CHECK ("replaced_active" >= 0);
ALTER TABLE "upper_blocks" ADD COLUMN "replaced_pending_reactivation"
    INTEGER NOT NULL DEFAULT 0 CHECK ("replaced_pending_reactivation" >= 0);
ALTER TABLE "upper_blocks" ADD COLUMN "replaced_pending_revocation"
    INTEGER NOT NULL DEFAULT 0 CHECK ("replaced_pending_revocation" >= 0);
ALTER TABLE "upper_blocks" ADD COLUMN "replaced_revoked"
    INTEGER NOT NULL DEFAULT 0 CHECK ("replaced_revoked" >= 0);
CREATE TABLE "replacement_counting" (
    "zone" INTEGER NOT NULL PRIMARY KEY,
    "below" INTEGER NOT NULL
);
INSERT INTO "replacement_counting" ("zone", "below")
SELECT "zone", "last" + 1 FROM (
    SELECT "number" AS "zone", (
        SELECT "position" FROM "replacements"
        WHERE "position" >= "number" << 36 AND "position" < ("number" + 1) << 36
        ORDER BY "position" DESC LIMIT 1
    ) AS "last" FROM "zones"
) AS "ends" WHERE "last" IS NOT NULL;
