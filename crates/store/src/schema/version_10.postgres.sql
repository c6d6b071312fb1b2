-- Numbers of the changes of each account. Until now, an account saw the epochs of all accounts.
-- Writers of earlier versions take this row first: they end before the tables change.
SELECT "last_epoch" FROM "store" WHERE "only" = 1 FOR UPDATE;
LOCK TABLE "writers" IN ACCESS EXCLUSIVE MODE;
-- Programs of earlier versions fail to insert here, so that they cannot write any more.
DELETE FROM "writers";
ALTER TABLE "writers" DROP CONSTRAINT "writers_version_check";
ALTER TABLE "writers" ADD CONSTRAINT "writers_version_check" CHECK ("version" >= 10);
CREATE TABLE "account_epochs" (
    "account" BYTEA NOT NULL REFERENCES "accounts" ("id"),
    "epoch" BIGINT NOT NULL,
    "until" BIGINT NOT NULL,
    "number" BIGINT NOT NULL,
    PRIMARY KEY ("account", "epoch")
);
CREATE UNIQUE INDEX "account_epochs_by_number" ON "account_epochs" ("account", "number");
INSERT INTO "account_epochs" ("account", "epoch", "until", "number")
SELECT "accounts"."id", 0, "store"."last_epoch", 0 FROM "accounts", "store";
