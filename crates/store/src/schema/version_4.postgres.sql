-- Changes of hostnames and CAs have epochs. Enforcement points say what they cover, and are deleted
-- when they were silent for too long.
ALTER TABLE "accounts" ADD COLUMN "configuration_epoch" BIGINT;
ALTER TABLE "accounts" ADD COLUMN "configuration_check" BIGINT;
CREATE INDEX "accounts_by_configuration_epoch" ON "accounts" ("configuration_epoch");
ALTER TABLE "enforcement_points" ADD COLUMN "terms" TEXT COLLATE "C";
ALTER TABLE "enforcement_points" ADD COLUMN "forget_on" BIGINT;
CREATE INDEX "enforcement_points_by_forgetting" ON "enforcement_points" ("forget_on");
UPDATE "enforcement_points" SET "forget_on" = "seen_on" + 86400000000;
