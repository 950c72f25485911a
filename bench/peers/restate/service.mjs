// The monitor on Restate's SDK for Node, served for a Restate server: `node service.mjs PORT`.
// It runs as a copy beside the node_modules of the peer's environment.

import * as restate from "@restatedev/restate-sdk";

const POLLS = 5;
const INTERVAL_MS = 1;

// The SDK calls it, and Node has it from 22 on.
Promise.withResolvers ??= () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

/** Check one repository. */
function check() {
  return false;
}

/** Check five times, a millisecond after each check. */
async function run(context) {
  for (let checks = 1; checks <= POLLS; checks++) {
    const tooMany = await context.run("check", check);
    context.set("status", { checks, tooMany });
    await context.sleep(INTERVAL_MS);
  }
  return { checks: POLLS };
}

const monitor = restate.workflow({ name: "Monitor", handlers: { run } });
restate.serve({ services: [monitor], port: Number(process.argv[2]) });
