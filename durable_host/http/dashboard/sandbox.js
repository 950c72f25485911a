// The page of the stand-ins that this host runs, in a frame: beside the list and an instance where there is room.

import * as api from "./api.js";
import { $, setText } from "./dom.js";

/** A stand-in answers to its own machine only. */
const isHere = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname);

/** Show it, where this host runs one and says so. */
export async function showSandbox() {
  const url = isHere ? await api.sandboxUrl().catch(() => null) : null;
  if (!url) return;
  const { origin } = new URL(url);
  addEventListener("message", ({ origin: sender, data }) => {
    if (sender === origin && Number.isInteger(data?.count)) setText($("sandbox-count"), String(data.count || ""));
  });
  $("sandbox-frame").src = url;
  document.body.classList.add("has-sandbox");
}
