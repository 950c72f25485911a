// The page's small drawings, on a grid of 12: a status, and what happened in a timeline, each has its own.

const PATHS = /** @type {Record<string, string>} */ ({
  Pending: "M6 1.8a4.2 4.2 0 1 0 .01 0z",
  Running: "M3.5 1.8v8.4L10.3 6z",
  Suspended: "M4 2v8M8 2v8",
  Completed: "M2 6.4 4.8 9.2 10.2 3",
  Failed: "M2.6 2.6l6.8 6.8M9.4 2.6 2.6 9.4",
  Terminated: "M2.8 2.8h6.4v6.4H2.8z",
  Canceled: "M6 1.8a4.2 4.2 0 1 0 .01 0zM3.2 8.8l5.6-5.6",
  ContinuedAsNew: "M9.8 4.4A4.2 4.2 0 1 0 10.2 6M10 1.6v2.9H7.1",
  activity: "M6.8 1 2.4 7h3L5 11l4.6-6H6.4z",
  orchestrator: "M1.5 1.5h5v5h-5zM5.5 8.5v2h5v-5h-2",
  timer: "M6 1.4a4.6 4.6 0 1 0 .01 0zM6 3.4V6l1.8 1.2",
  event: "M1.4 2.8h9.2v6.6H1.4zM1.4 3 6 6.6 10.6 3",
  end: "M3 11V1.6h6.4L7.6 4l1.8 2.4H3",
});

/** @param {string} name a runtime status, or a kind of what happened @returns {SVGElement} */
export function shape(name) {
  const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "shape");
  path.setAttribute("d", PATHS[name] ?? PATHS.Pending);
  svg.append(path);
  return /** @type {SVGElement} */ (svg);
}
