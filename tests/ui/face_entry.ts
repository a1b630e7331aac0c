/** What the comparison of faces calls in the browser. */
export { drawFigure } from "../../ui/src/face/figure";
export { mouthCurves } from "../../ui/src/face/mouthCurves";
export { Pose, rest } from "../../ui/src/face/pose";
