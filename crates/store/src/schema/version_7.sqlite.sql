-- Invites, and the certificates that were issued for them.
CREATE TABLE "invites" (
    "id" BLOB NOT NULL PRIMARY KEY,
    "zone" BLOB NOT NULL REFERENCES "zones" ("id"),
    "name" TEXT NOT NULL,
    "device" TEXT NOT NULL,
    "lifetime" INTEGER,
    "uses_max" INTEGER NOT NULL CHECK ("uses_max" >= 0),
    "hash" BLOB NOT NULL,
    "creator_kind" INTEGER NOT NULL,
    "creator" BLOB,
    "created_on" INTEGER NOT NULL,
    "expires_on" INTEGER NOT NULL,
    "withdrawn_on" INTEGER,
    "wrong_secrets" INTEGER NOT NULL CHECK ("wrong_secrets" >= 0),
    "digest" INTEGER
);
CREATE INDEX "invites_by_zone" ON "invites" ("zone", "created_on", "id");
CREATE INDEX "invites_by_end" ON "invites" ("zone", "expires_on", "id");
CREATE TABLE "invite_uses" (
    "invite" BLOB NOT NULL REFERENCES "invites" ("id"),
    "number" INTEGER NOT NULL,
    "position" INTEGER NOT NULL REFERENCES "certificates" ("position"),
    "digest" INTEGER,
    PRIMARY KEY ("invite", "number")
);
