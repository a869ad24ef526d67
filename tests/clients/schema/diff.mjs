// Whether a schema breaks clients of an older one, by graphql-inspector: node diff.mjs OLDER NEWER
// Prints each change with what it means, and exits with 1 if one of them breaks a client.
import { readFile } from "node:fs/promises";
import { CriticalityLevel, diff, DiffRule } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const read = async (path) => buildSchema(await readFile(path, "utf8"));
const [older, newer] = await Promise.all(process.argv.slice(2).map(read));
// What a release has deprecated, a later one may leave out.
const changes = await diff(older, newer, [DiffRule.suppressRemovalOfDeprecatedField]);

for (const { criticality, message } of changes) console.log(`${criticality.level}: ${message}`);
process.exitCode = Number(changes.some(({ criticality }) => criticality.level === CriticalityLevel.Breaking));
