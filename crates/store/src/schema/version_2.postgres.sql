-- Properties that clients of accounts, users and zones change, and tokens that accounts own.
ALTER TABLE "users" ADD COLUMN "first_name" TEXT COLLATE "C";
ALTER TABLE "users" ADD COLUMN "last_name" TEXT COLLATE "C";
ALTER TABLE "users" ADD COLUMN "telephone" TEXT COLLATE "C";
ALTER TABLE "users" ADD COLUMN "country" TEXT COLLATE "C";
ALTER TABLE "users" ADD COLUMN "zipcode" TEXT COLLATE "C";
ALTER TABLE "users" ADD COLUMN "modified_on" BIGINT;
ALTER TABLE "accounts" ADD COLUMN "type" TEXT COLLATE "C";
ALTER TABLE "accounts" ADD COLUMN "enforce_twofactor" BOOLEAN;
ALTER TABLE "accounts" ADD COLUMN "abuse_contact_email" TEXT COLLATE "C";
ALTER TABLE "zones" ADD COLUMN "paused" BOOLEAN;
ALTER TABLE "zones" ADD COLUMN "type" TEXT COLLATE "C";
ALTER TABLE "zones" ADD COLUMN "vanity_name_servers" TEXT COLLATE "C";
ALTER TABLE "tokens" ADD COLUMN "account" BYTEA REFERENCES "accounts" ("id");
CREATE INDEX "tokens_by_account" ON "tokens" ("account", "issued_on", "id");
