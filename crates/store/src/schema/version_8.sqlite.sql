-- Notifications: destinations, their places in the logs, conditions, and undelivered events.
CREATE TABLE "notification_destinations" (
    "name" TEXT NOT NULL PRIMARY KEY,
    "begun_on" INTEGER NOT NULL,
    "failing_since" INTEGER,
    "attempts" INTEGER NOT NULL CHECK ("attempts" >= 0),
    "attempt_on" INTEGER,
    "error" TEXT,
    "delivered" INTEGER NOT NULL CHECK ("delivered" >= 0),
    "delivered_on" INTEGER,
    "undelivered" INTEGER NOT NULL CHECK ("undelivered" >= 0)
);
CREATE TABLE "notification_cursors" (
    "destination" TEXT NOT NULL,
    "log" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "at" INTEGER NOT NULL,
    PRIMARY KEY ("destination", "log")
) WITHOUT ROWID;
CREATE TABLE "notification_conditions" (
    "number" INTEGER NOT NULL PRIMARY KEY,
    "id" BLOB NOT NULL,
    "kind" INTEGER NOT NULL,
    "object" BLOB NOT NULL,
    "since" INTEGER NOT NULL,
    "account" BLOB NOT NULL,
    "at" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "count" INTEGER NOT NULL CHECK ("count" >= 0),
    "certificates" BLOB NOT NULL
);
CREATE UNIQUE INDEX "notification_conditions_by_object" ON "notification_conditions" ("object", "kind", "since");
CREATE INDEX "notification_conditions_by_time" ON "notification_conditions" ("at");
CREATE TABLE "notifications_undelivered" (
    "destination" TEXT NOT NULL,
    "log" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "at" INTEGER NOT NULL,
    "id" BLOB NOT NULL,
    "kind" INTEGER NOT NULL,
    "object" BLOB NOT NULL,
    "set_aside_on" INTEGER NOT NULL,
    "error" TEXT NOT NULL,
    "is_retried" INTEGER NOT NULL CHECK ("is_retried" IN (0, 1)),
    PRIMARY KEY ("destination", "log", "number")
);
CREATE INDEX "notifications_undelivered_by_time" ON "notifications_undelivered" ("set_aside_on", "destination", "log", "number");
CREATE INDEX "notifications_undelivered_retried" ON "notifications_undelivered" ("destination", "log", "number") WHERE is_retried;
