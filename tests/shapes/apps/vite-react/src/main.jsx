import { createRoot } from "react-dom/client";
import "./main.css";

createRoot(document.getElementById("root")).render(<p>hello from React</p>);
