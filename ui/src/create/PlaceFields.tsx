/** Numbers of what can be dragged on the picture, in hundredths of its width and height, and its angle. */
import { t } from "@lingui/core/macro";
import { useState } from "react";
import { Box, Point, TextOverlay } from "../api/limits";
import { Field } from "../kit/Field";
import { faultOf, type Limit, scaled } from "../kit/rules";
import type { Overlay } from "./anchors";
import { boxOf, type Format } from "./boxes";
import { rotationOf, withRotation } from "./rotation";

interface NumberProps {
  name: string;
  label: string;
  value: number;
  limit: Limit;
  onChange: (value: number) => void;
}

/** What is typed stays as it is until it is a number that may be; leaving the field shows what holds. */
function NumberField({ name, label, value, limit, onChange }: NumberProps) {
  const [text, setText] = useState<string | null>(null);
  return (
    <label className="moment">
      {name}
      <Field
        bare
        required
        type="number"
        of={{ number: limit }}
        name="number"
        label={label}
        value={text ?? String(value)}
        onChange={(typed) => {
          setText(typed);
          // As dragged: not 12.300000000000001.
          const rounded = Math.round(Number(typed) * 10) / 10;
          if (typed !== "" && !faultOf(String(rounded), limit)) onChange(rounded);
        }}
        onBlur={() => setText(null)}
      />
    </label>
  );
}

interface Props {
  overlay: Overlay;
  label: string;
  format: Format;
  onChange: (overlay: Overlay, group?: string) => void;
}

export function PlaceFields({ overlay, label, format, onChange }: Props) {
  const percents = (name: string, value: number, limit: Limit, write: (value: number) => Overlay) => (
    <NumberField
      key={name}
      name={name}
      label={`${label}: ${name}`}
      value={Math.round(value * 1000) / 10}
      limit={scaled(limit, 100)}
      onChange={(percent) => onChange(write(Math.round(percent * 10) / 1000), `place ${name}`)}
    />
  );
  const box = boxOf(overlay, format);
  return (
    <details>
      <summary>{t`Place on the picture, in %`}</summary>
      <div className="place">
        {box && (
          <>
            {percents(t`left`, box.x, Box.x, (x) => ({ ...overlay, box: { ...box, x } }) as Overlay)}
            {percents(t`top`, box.y, Box.y, (y) => ({ ...overlay, box: { ...box, y } }) as Overlay)}
            {percents(t`width`, box.width, Box.width, (width) => ({ ...overlay, box: { ...box, width } }) as Overlay)}
            {percents(t`height`, box.height, Box.height, (height) => ({ ...overlay, box: { ...box, height } }) as Overlay)}
            <NumberField
              name={t`rotation, in °`}
              label={t`${label}: rotation in degrees`}
              value={rotationOf(overlay)}
              limit={TextOverlay.rotation_deg}
              onChange={(degrees) => onChange(withRotation(overlay, degrees), "place rotation")}
            />
          </>
        )}
        {overlay.kind === "arrow" && (
          <>
            {percents(t`tail, left`, overlay.tail.x, Point.x, (x) => ({ ...overlay, tail: { ...overlay.tail, x } }))}
            {percents(t`tail, top`, overlay.tail.y, Point.y, (y) => ({ ...overlay, tail: { ...overlay.tail, y } }))}
            {percents(t`head, left`, overlay.head.x, Point.x, (x) => ({ ...overlay, head: { ...overlay.head, x } }))}
            {percents(t`head, top`, overlay.head.y, Point.y, (y) => ({ ...overlay, head: { ...overlay.head, y } }))}
          </>
        )}
      </div>
    </details>
  );
}
