// Where the timeline scrolls, the line of now is brought into view.
"use strict";

const timeline = document.querySelector(".timeline");
const now = document.querySelector(".axis .now");
if (timeline && now && timeline.scrollWidth > timeline.clientWidth) {
  const ahead = now.getBoundingClientRect().left - timeline.getBoundingClientRect().left;
  timeline.scrollLeft = Math.max(0, ahead - timeline.clientWidth / 2);
}
