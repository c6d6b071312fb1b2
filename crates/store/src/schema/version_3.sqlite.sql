-- Retired CAs are not read with the others, and rows of enforcement points and of the
-- installation have digests.
CREATE INDEX "authorities_by_age" ON "authorities" ("account");
CREATE INDEX "authorities_in_use" ON "authorities" ("account") WHERE NOT retired;
DROP INDEX "authorities_by_account";
ALTER TABLE "enforcement_points" ADD COLUMN "digest" INTEGER;
ALTER TABLE "installation" ADD COLUMN "digest" INTEGER;
