-- Numbers of the changes of each account. Until now, an account saw the epochs of all accounts.
CREATE TABLE "account_epochs" (
    "account" BLOB NOT NULL REFERENCES "accounts" ("id"),
    "epoch" INTEGER NOT NULL,
    "until" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    PRIMARY KEY ("account", "epoch")
) WITHOUT ROWID;
CREATE UNIQUE INDEX "account_epochs_by_number" ON "account_epochs" ("account", "number");
INSERT INTO "account_epochs" ("account", "epoch", "until", "number")
SELECT "accounts"."id", 0, "store"."last_epoch", 0 FROM "accounts", "store";
