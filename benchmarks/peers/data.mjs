// What every peer serves: the hub's own schema, and objects of the hub's own answers.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

const [schemaFile, folder] = process.argv.slice(2);

export const typeDefs = readFileSync(schemaFile, "utf8");

// The `data` of an answer that the benchmark wrote down.
export const answered = (name) => JSON.parse(readFileSync(join(folder, name), "utf8")).data;

// A list for each of these names, found by the size that is asked for.
export function lists(...names) {
  const pages = new Map(names.map(answered).map(({ deployments }) => [deployments.nodes.length, deployments]));
  return { Query: { deployments: (_, { first }) => pages.get(first) } };
}

// Output's first line is for benchmarks.processes, and so is that the process ends with its input.
export function hello(port) {
  console.log(JSON.stringify({ port }));
  process.stdin.resume().on("end", () => process.exit());
}
