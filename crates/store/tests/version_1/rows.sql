INSERT INTO "users" ("id", "email", "created_on") VALUES
    (:user, 'admin@example.com', 1790000040000000);
INSERT INTO "accounts" ("id", "name", "folded_name", "authority_algorithm", "created_on") VALUES
    (:account, 'Old', 'old', 'P-256', 1790000040000000);
INSERT INTO "zones" ("number", "id", "name", "folded_name", "reversed_name", "account",
    "created_on", "modified_on") VALUES
    (1, :zone, 'example.com', 'example.com', 'com.example', :account, 1790000040000000,
    1790000040000000);
INSERT INTO "tokens" ("id", "user", "name", "hash", "state", "policies", "allowed_addresses",
    "refused_addresses", "issued_on", "modified_on") VALUES
    (:token, :user, 'first token', :hash, 'active', '[]', '[]', '[]', 1790000040000000,
    1790000040000000);
INSERT INTO "store" VALUES (1, 9, 18, 0, 0, :false, 0);
