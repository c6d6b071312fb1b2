-- Properties that clients of accounts, users and zones change, and tokens that accounts own.
ALTER TABLE "users" ADD COLUMN "first_name" TEXT;
ALTER TABLE "users" ADD COLUMN "last_name" TEXT;
ALTER TABLE "users" ADD COLUMN "telephone" TEXT;
ALTER TABLE "users" ADD COLUMN "country" TEXT;
ALTER TABLE "users" ADD COLUMN "zipcode" TEXT;
ALTER TABLE "users" ADD COLUMN "modified_on" INTEGER;
ALTER TABLE "accounts" ADD COLUMN "type" TEXT;
ALTER TABLE "accounts" ADD COLUMN "enforce_twofactor" INTEGER CHECK ("enforce_twofactor" IN (0, 1));
ALTER TABLE "accounts" ADD COLUMN "abuse_contact_email" TEXT;
ALTER TABLE "zones" ADD COLUMN "paused" INTEGER CHECK ("paused" IN (0, 1));
ALTER TABLE "zones" ADD COLUMN "type" TEXT;
ALTER TABLE "zones" ADD COLUMN "vanity_name_servers" TEXT;
ALTER TABLE "tokens" ADD COLUMN "account" BLOB REFERENCES "accounts" ("id");
CREATE INDEX "tokens_by_account" ON "tokens" ("account", "issued_on", "id");
