-- Retired CAs are not read with the others, and rows of enforcement points and of the
-- installation have digests.
CREATE INDEX "authorities_by_age" ON "authorities" ("account", "number");
CREATE INDEX "authorities_in_use" ON "authorities" ("account", "number") WHERE NOT retired;
DROP INDEX "authorities_by_account";
ALTER TABLE "enforcement_points" ADD COLUMN "digest" BIGINT;
ALTER TABLE "installation" ADD COLUMN "digest" BIGINT;
